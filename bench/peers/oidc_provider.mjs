// npm oidc-provider as a peer under measurement: client credentials, JWT access tokens of three algorithms, introspection
// and public keys, everything in memory (its own adapter, the default).
//
// What is asked here is what daypass is asked in the same run. A JWT is never stored by oidc-provider and cannot be
// introspected there, so its introspection is of an opaque token, which its memory holds.

import { generateKeyPairSync } from 'node:crypto';
import { pathToFileURL } from 'node:url';

// An import looks beside this file and nowhere else; the packages are kept elsewhere.
const home = `${process.env.NODE_PATH}/oidc-provider/lib/index.js`;
const { Provider } = await import(pathToFileURL(home));

const listen = Number(process.env.PORT);
const pair = (type, options) => generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
const keys = [
  { ...pair('rsa', { modulusLength: 2048 }), alg: 'RS256', use: 'sig', kid: 'rs256' },
  { ...pair('ec', { namedCurve: 'P-256' }), alg: 'ES256', use: 'sig', kid: 'es256' },
  { ...pair('ed25519'), alg: 'EdDSA', use: 'sig', kid: 'eddsa' },
];
const algorithms = { RS256: 'RS256', ES256: 'ES256', EdDSA: 'EdDSA' };

const provider = new Provider(`http://127.0.0.1:${listen}`, {
  clients: [
    {
      client_id: process.env.CLIENT_ID,
      client_secret: process.env.CLIENT_SECRET,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_post',
    },
  ],
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => {
        const algorithm = new URL(resource).pathname.slice(1);
        return algorithm in algorithms
          ? { scope: 'orders.read', accessTokenTTL: 3600, accessTokenFormat: 'jwt', jwt: { sign: { alg: algorithm } } }
          : { scope: 'orders.read', accessTokenTTL: 3600, accessTokenFormat: 'opaque' };
      },
    },
  },
  jwks: { keys },
  ttl: { ClientCredentials: 3600 },
});

provider.listen(listen, '127.0.0.1', () => console.log('ready'));
