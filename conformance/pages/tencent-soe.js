// Stands in for the vendor's TencentSOE script, whose source is not published. Like it, it asks the page for a
// credential by getAuthorization(callback) and signs in the browser with the temporary key (TC3-HMAC-SHA256). What it
// calls is GetCallerIdentity at the page's own server, which passes the request on to Daypass as it is: an answer shows
// that the four values belong together and are worth something.

// What it calls; a case that has an API of its own puts that here.
const CALL = { service: 'sts', action: 'GetCallerIdentity', version: '2018-08-13' };

class TencentSOE {
  constructor(options) {
    this.options = options;
    options.getAuthorization((credential) => {
      this.credential = credential;
      options.success();
    });
  }

  async start({ RefText }) {
    try {
      const identity = await callIdentity(this.credential);
      document.getElementById('got').textContent = JSON.stringify({ RefText, identity, credential: this.credential });
    } catch (error) {
      this.options.error(error);
    }
  }
}

async function callIdentity({ TmpSecretId, TmpSecretKey, Token }) {
  const timestamp = Math.floor(Date.now() / 1000);
  const date = new Date(timestamp * 1000).toISOString().slice(0, 10);
  const scope = `${date}/${CALL.service}/tc3_request`;
  const body = '{}';
  const signed = `content-type:application/json\nhost:${location.host}\n`;
  const request = `POST\n/\n\n${signed}\ncontent-type;host\n${await sha256(body)}`;
  const toSign = `TC3-HMAC-SHA256\n${timestamp}\n${scope}\n${await sha256(request)}`;
  let key = new TextEncoder().encode('TC3' + TmpSecretKey);
  for (const part of [date, CALL.service, 'tc3_request']) key = await hmac(key, part);
  const signature = hex(await hmac(key, toSign));
  const credential = `${TmpSecretId}/${scope}`;
  const answer = await fetch('/', {
    method: 'POST',
    body,
    headers: {
      'Content-Type': 'application/json',
      'X-TC-Action': CALL.action,
      'X-TC-Version': CALL.version,
      'X-TC-Timestamp': String(timestamp),
      'X-TC-Token': Token,
      Authorization: `TC3-HMAC-SHA256 Credential=${credential}, SignedHeaders=content-type;host, Signature=${signature}`,
    },
  });
  const { Response } = await answer.json();
  if (Response.Error) throw new Error(`${Response.Error.Code}: ${Response.Error.Message}`);
  return Response;
}

const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');

const sha256 = async (text) => hex(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));

async function hmac(key, text) {
  const imported = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return crypto.subtle.sign('HMAC', imported, new TextEncoder().encode(text));
}
