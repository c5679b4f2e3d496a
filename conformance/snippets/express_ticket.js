// The ticket way: this application signs a one-time ticket for the page, offline, with a key that Daypass knows.
//
//     npm install express
//     daypass client add lesson --kind ticket --role uploads --any subject
//     TICKET_KEY_ID=TK… TICKET_KEY_SECRET=… PORT=8000 node express_ticket.js

const { createHmac, randomUUID } = require('node:crypto');
const express = require('express');

const {
  // The public address of Daypass, with the endpoint's path: whom a ticket is for.
  GET_AUTHORIZATION = 'http://127.0.0.1:5050/getAuthorization',
  // The origin of the page, as its browser writes it: the only one that may show the ticket.
  ORIGIN = 'http://127.0.0.1:8000',
  TICKET_KEY_ID,
  TICKET_KEY_SECRET,
} = process.env;

/** A JWT, which is two JSON documents and a signature over them. */
function sign(claims) {
  const part = (document) => Buffer.from(JSON.stringify(document)).toString('base64url');
  const text = `${part({ alg: 'HS256', typ: 'JWT', kid: TICKET_KEY_ID })}.${part(claims)}`;
  return `${text}.${createHmac('sha256', TICKET_KEY_SECRET).update(text).digest('base64url')}`;
}

const server = express();
const sessions = new Map(); // express-session keeps them better; what matters is to know the user

server.post('/login', express.urlencoded({ extended: false }), (req, resp) => {
  // Your own log-in stands here. This one believes every name, so it is for trying only.
  const sid = randomUUID();
  sessions.set(sid, req.body.user);
  resp.cookie('session', sid, { httpOnly: true, sameSite: 'lax' }).redirect('/');
});

server.get('/ticket', (req, resp) => {
  const user = sessions.get(/(?:^|; )session=([\w-]+)/.exec(req.headers.cookie ?? '')?.[1]);
  if (!user) return resp.status(401).json({ error: 'not logged in' });
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: user, origin: ORIGIN, aud: GET_AUTHORIZATION, iat: now, exp: now + 120, jti: randomUUID() };
  resp.set('Cache-Control', 'no-store').json({ ticket: sign(claims) });
});

server.use(express.static(process.env.PAGES ?? 'static'));

server.listen(Number(process.env.PORT ?? 8000), '127.0.0.1');
