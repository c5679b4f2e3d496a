// The session way: the page's own session cookie is the proof, and Daypass asks this application whose it is.
//
//     npm install express
//     PORT=8000 node express_session.js
//
// Daypass is told by session.toml to ask here, and by which cookie.

const { randomUUID } = require('node:crypto');
const express = require('express');

const server = express();
const sessions = new Map(); // express-session keeps them better; what matters is the cookie

/** The user of the request's session, if it has one. */
function userOf(req) {
  const sid = /(?:^|; )session=([\w-]+)/.exec(req.headers.cookie ?? '')?.[1];
  return sessions.get(sid);
}

server.post('/login', express.urlencoded({ extended: false }), (req, resp) => {
  // Your own log-in stands here. This one believes every name, so it is for trying only.
  const sid = randomUUID();
  sessions.set(sid, req.body.user);
  resp.cookie('session', sid, { httpOnly: true, sameSite: 'lax' }).redirect('/');
});

server.post('/logout', (req, resp) => {
  resp.clearCookie('session').redirect('/');
});

// Daypass sends the visitor's cookie and no more; the answer is whose session it is.
server.get('/whoami', (req, resp) => {
  const user = userOf(req);
  if (!user) return resp.status(401).json({ error: 'not logged in' });
  resp.json({ subject: user, variables: {} });
});

server.use(express.static(process.env.PAGES ?? 'static'));

server.listen(Number(process.env.PORT ?? 8000), '127.0.0.1');
