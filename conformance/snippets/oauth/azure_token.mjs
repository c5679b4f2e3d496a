import { ClientSecretCredential } from '@azure/identity';

const credential = new ClientSecretCredential(
  '387c56a8-cf86-45de-b9f5-b4de88cac054',
  process.env.CLIENT_ID,
  process.env.CLIENT_SECRET,
  { authorityHost: 'https://pass.example.com', disableInstanceDiscovery: true },
);
console.log((await credential.getToken('d6b7c858-55fa-4d04-85a6-131af690abd4/.default')).token);
