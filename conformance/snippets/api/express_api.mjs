// An API in Express, behind tokens. Needs express and jose.

import express from 'express';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';

const { AUDIENCE, ISSUER, JWKS_URI, PORT } = process.env;
const keys = createRemoteJWKSet(new URL(JWKS_URI));
const trusted = {
  issuer: ISSUER, // https://pass.example.com/{tenant}/v2.0
  audience: AUDIENCE.split(' '), // the API's GUID, and its identifier URIs
  algorithms: ['RS256', 'ES256', 'EdDSA'],
  requiredClaims: ['exp'],
  clockTolerance: 60,
};

function refuse(response, status, error) {
  response.status(status).set('WWW-Authenticate', error ? `Bearer error="${error}"` : 'Bearer').end();
}

/** Lets a request pass whose token is good and has the role. */
const need = (role) => async (request, response, next) => {
  const [, token] = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '') ?? [];
  if (!token) return refuse(response, 401);
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keys, trusted);
    // Made for another use, or bound to a key that is not checked here.
    if (!/^(at\+)?jwt$/i.test(protectedHeader.typ) || payload.cnf !== undefined) throw new errors.JWTInvalid();
    request.claims = payload;
    request.client = payload.azp ?? payload.appid ?? payload.client_id; // v2.0, v1.0, RFC 9068
  } catch (error) {
    // The issuer cannot be reached or has no keys, and nothing is known of the token.
    const away = !(error instanceof errors.JOSEError) || /^ERR_(JOSE_GENERIC|JWKS_TIMEOUT|JWKS_INVALID)$/.test(error.code);
    return away ? refuse(response, 503) : refuse(response, 401, 'invalid_token');
  }
  if (!request.claims.roles?.includes(role)) return refuse(response, 403, 'insufficient_scope');
  next();
};

const app = express();
app.get('/orders', need('orders.read'), (request, response) => response.send(`orders for ${request.client}\n`));
app.listen(PORT, '127.0.0.1');
