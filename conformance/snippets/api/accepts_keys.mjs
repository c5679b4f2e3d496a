// An API of your own that accepts temporary keys. It knows no secret of anyone's: it shows Daypass what it got. Needs
// Node 18 and nothing else.

import { createHash } from 'node:crypto';
import http from 'node:http';

const { DAYPASS, CLIENT_ID, CLIENT_SECRET, PORT } = process.env;
const basic = `Basic ${Buffer.from(`${CLIENT_ID}:${CLIENT_SECRET}`).toString('base64')}`;

/** Asks Daypass who sent this request, and whether it may do this. */
async function verify(request, body, action, resource) {
  const [path, ...query] = request.url.split('?');
  const headers = {};
  // As they came, so that one that stands twice is seen to.
  for (let n = 0; n < request.rawHeaders.length; n += 2) {
    (headers[request.rawHeaders[n].toLowerCase()] ??= []).push(request.rawHeaders[n + 1]);
  }
  const question = {
    scheme: 'tencent.tc3',
    method: request.method,
    path,
    query: query.join('?'),
    headers,
    body_sha256: createHash('sha256').update(body).digest('hex'),
    action,
    resource,
  };
  const answer = await fetch(`${DAYPASS}/v1/verify`, {
    method: 'POST',
    headers: { Authorization: basic, 'Content-Type': 'application/json' },
    body: JSON.stringify(question),
  });
  // Anything else is a mistake of this API's, and no word about its caller.
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return answer.json();
}

async function answer(request, body) {
  // What this API is about to do, and not what the caller calls it: no SDK signs that header.
  const found = await verify(request, body, 'soe:TransmitOralProcessWithInit', '*');
  if (!found.valid) return [401, { Error: { Code: 'AuthFailure', Message: found.detail } }];
  // An unsigned body is anybody's.
  if (!found.covers.includes('body')) return [401, { Error: { Code: 'AuthFailure', Message: 'sign the body' } }];
  if (!found.decision.allowed) return [403, { Error: { Code: 'UnauthorizedOperation', Message: found.decision.why } }];
  return [200, { Score: 98, Role: found.role, Key: found.key }];
}

http
  .createServer(async (request, response) => {
    const body = [];
    for await (const chunk of request) body.push(chunk);
    const [status, result] = await answer(request, Buffer.concat(body)).catch((error) => {
      console.error(error);
      return [503, { Error: { Code: 'InternalError', Message: 'ask again later' } }];
    });
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify({ Response: result }));
  })
  .listen(PORT, '127.0.0.1');
