// Stands in for Tencent's object storage: it keeps what is put, after checking who signed it as the vendor's pages say
// (request signature, HMAC-SHA1 with q-sign-algorithm=sha1). It knows the temporary keys that it was told of.

import http from 'node:http';
import { createHash, createHmac } from 'node:crypto';
import { atEnd } from '../daypass.mjs';

const sha1 = (key, text) => createHmac('sha1', key).update(text).digest('hex');

/** As the vendor prescribes: everything but letters, digits and -_.~ */
const encoded = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

/** The named ones of these values, in the order of the names, as the text to sign has them. */
const joined = (names, values) =>
  names.split(';').filter(Boolean).map((name) => `${name}=${encoded(values[name] ?? '')}`).join('&');

/** Why a request is refused, or nothing. */
function objection(request, url, known) {
  const said = Object.fromEntries((request.headers.authorization ?? '').split('&').map((part) => part.split('=')));
  if (said['q-sign-algorithm'] !== 'sha1') return 'AccessDenied';
  const credential = known.get(said['q-ak']);
  if (!credential) return 'InvalidAccessKeyId';
  if (request.headers['x-cos-security-token'] !== credential.token) return 'InvalidSecurityToken';
  const [from, until] = said['q-sign-time'].split(';').map(Number);
  const now = Date.now() / 1000;
  if (!(from <= now + 5 && now < until) || said['q-key-time'] !== said['q-sign-time']) return 'RequestTimeTooSkewed';
  const query = Object.fromEntries([...url.searchParams].map(([name, value]) => [encoded(name).toLowerCase(), value]));
  const format = [
    request.method.toLowerCase(),
    decodeURIComponent(url.pathname),
    joined(said['q-url-param-list'], query),
    joined(said['q-header-list'], request.headers),
    '',
  ].join('\n');
  const toSign = `sha1\n${said['q-sign-time']}\n${createHash('sha1').update(format).digest('hex')}\n`;
  const key = sha1(credential.secretKey, said['q-key-time']);
  return sha1(key, toSign) === said['q-signature'] ? undefined : 'SignatureDoesNotMatch';
}

/** Listens until the end of the file's cases. `tell` adds a temporary key; `seen` has who asked for what. */
export async function cosStandIn() {
  const known = new Map();
  const objects = new Map();
  const seen = [];
  const anyPage = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'ETag' };
  const answer = (response, status, body = '', headers = {}) =>
    response.writeHead(status, { ...anyPage, ...headers }).end(body);

  const server = http.createServer(async (request, response) => {
    if (request.method === 'OPTIONS')
      return answer(response, 200, '', {
        'Access-Control-Allow-Methods': 'PUT, POST, GET',
        'Access-Control-Allow-Headers': request.headers['access-control-request-headers'] ?? '',
      });
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url, 'http://cos');
    const refused = objection(request, url, known);
    const signer = /q-ak=([^&]+)/.exec(request.headers.authorization ?? '')?.[1];
    seen.push({ method: request.method, url: request.url, signer, refused });
    const xml = { 'Content-Type': 'application/xml' };
    const document = (root, members) => answer(response, refused ? 403 : 200, `<${root}>${members}</${root}>`, xml);
    if (refused) return document('Error', `<Code>${refused}</Code><Message>${refused}</Message>`);
    const key = url.pathname.slice(1);
    if (request.method === 'PUT') {
      const part = url.searchParams.get('partNumber');
      objects.set(part ? `${key}#${part}` : key, Buffer.concat(chunks));
      return answer(response, 200, '', { ETag: `"${createHash('md5').update(Buffer.concat(chunks)).digest('hex')}"` });
    }
    if (url.searchParams.has('uploads'))
      return document('InitiateMultipartUploadResult', `<Key>${key}</Key><UploadId>1</UploadId>`);
    const parts = [...objects].filter(([name]) => name.startsWith(`${key}#`)).map(([, bytes]) => bytes);
    objects.set(key, Buffer.concat(parts));
    return document('CompleteMultipartUploadResult', `<Key>${key}</Key><ETag>"1"</ETag>`);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return { host: `127.0.0.1:${server.address().port}`, objects, seen, tell: (key) => known.set(key.secretId, key) };
}
