import { ConfidentialClientApplication } from '@azure/msal-node';

const client = new ConfidentialClientApplication({
  auth: {
    clientId: process.env.CLIENT_ID,
    clientSecret: process.env.CLIENT_SECRET,
    authority: 'https://pass.example.com/387c56a8-cf86-45de-b9f5-b4de88cac054',
    knownAuthorities: ['pass.example.com'], // with the port, if there is one
  },
});
const scopes = ['d6b7c858-55fa-4d04-85a6-131af690abd4/.default'];
console.log((await client.acquireTokenByClientCredential({ scopes })).accessToken);
