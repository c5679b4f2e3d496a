import * as client from 'openid-client';

const { CLIENT_ID, CLIENT_SECRET } = process.env;
const issuer = new URL('https://pass.example.com/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0');
const server = await client.discovery(issuer, CLIENT_ID, {}, client.ClientSecretBasic(CLIENT_SECRET));
const DPoP = client.getDPoPHandle(server, await client.randomDPoPKeyPair('ES256'));
const scope = 'd6b7c858-55fa-4d04-85a6-131af690abd4/.default';
const answer = await client.clientCredentialsGrant(server, { scope }, { DPoP });
console.log(answer.access_token); // token_type is `DPoP`, and cnf.jkt the thumbprint of the key
