// The COS browser SDK in Chromium. Its getAuthorization fetches a credential in the shape `cos`; what it then signs is
// checked by a stand-in for the object storage.

// needs: npm
// client: tencent / cos-js-sdk-v5

import assert from 'node:assert/strict';
import { Service, main, once, packaged, test } from '../daypass.mjs';
import { blank, fetched, keysOf, resourcesOf, site, subjectOf, visit } from '../browser.mjs';
import { endpoint, uploads } from '../snippets.mjs';
import { cosStandIn } from '../stand_ins/cos.mjs';

const BUCKET = 'pics-1250000000';

const started = once(async () => {
  const storage = await cosStandIn();
  // The application: who logs in is whom the cookie names.
  const whoami = (request, response) => {
    const user = /(?:^|; )sid=(\w+)/.exec(request.headers.cookie ?? '')?.[1];
    response.writeHead(user ? 200 : 401, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(user ? { subject: user } : {}));
  };
  const { origin } = await site({
    '/': `${blank}<script src="/cos.js"></script>`,
    '/cos.js': packaged('cos-js-sdk-v5/dist/cos-js-sdk-v5.min.js'),
    '/whoami': whoami,
  });
  const caller = `session = { cookie = "sid", whoami = "${origin}/whoami" }`;
  const service = await Service.make('cos', uploads + endpoint([origin], caller, { more: 'shape = "cos"' }));
  await service.start();
  return { service, storage, origin, url: `${service.url}/getAuthorization` };
});

/** A tab of a user with `cos`, configured as in the SDK's README. Its key is told to the storage. */
async function tab({ storage, origin, url }, user, { scopeLimit = false } = {}) {
  const page = await visit(origin);
  await page.evaluate(
    ([url, host, user, scopeLimit]) => {
      document.cookie = `sid=${user}; SameSite=Lax`;
      window.handedOut = [];
      window.cos = new COS({
        Protocol: 'http:',
        Domain: host,
        getAuthorization(options, callback) {
          fetch(url, { credentials: 'include' })
            .then((answer) => answer.json())
            .then((data) => {
              handedOut.push(data.credentials.tmpSecretId);
              callback({
                TmpSecretId: data.credentials.tmpSecretId,
                TmpSecretKey: data.credentials.tmpSecretKey,
                SecurityToken: data.credentials.sessionToken,
                StartTime: data.startTime,
                ExpiredTime: data.expiredTime,
                ScopeLimit: scopeLimit,
              });
            });
        },
      });
      window.put = (name, options) =>
        new Promise((done) => {
          cos[name]({ Bucket: 'pics-1250000000', Region: 'ap-guangzhou', ...options }, (error, data) => {
            done(error ? { code: error.code ?? error.message } : { status: data.statusCode, ...data });
          });
        });
    },
    [url, storage.host, user, scopeLimit],
  );
  const answer = await fetched(page, url, { credentials: 'include' });
  const key = keysOf(answer);
  storage.tell(key);
  return { page, key, answer, handedOut: () => page.evaluate(() => handedOut) };
}

test('the shape that the SDK reads', async () => {
  const { answer } = await tab(await started(), 'alice');
  const { body } = answer;
  assert.deepEqual(Object.keys(body).sort(), ['credentials', 'expiration', 'expiredTime', 'requestId', 'startTime']);
  assert.deepEqual(Object.keys(body.credentials).sort(), ['sessionToken', 'tmpSecretId', 'tmpSecretKey']);
  assert.equal(String(body.startTime).length, 10);
  assert.equal(String(body.expiredTime).length, 10);
  assert.equal(Date.parse(body.expiration), body.expiredTime * 1000);
  assert.ok(body.startTime <= Date.now() / 1000 && body.expiredTime > Date.now() / 1000 + 60);
});

test('putObject: the signature, the id and the token are right', async () => {
  const world = await started();
  const { page, key, handedOut } = await tab(world, 'alice');
  const done = await page.evaluate(() => put('putObject', { Key: 'users/alice/a b.txt', Body: new Blob(['hello']) }));
  assert.equal(done.status, 200, JSON.stringify([done, world.storage.seen]));
  assert.equal(String([...world.storage.objects.values()].at(-1)), 'hello');
  assert.deepEqual(await handedOut(), [key.secretId]);
  assert.equal(await subjectOf(world.service, key), 'alice');
});

test('a page that asks for every part of an upload gets one credential', async () => {
  const world = await started();
  const { page, key, handedOut } = await tab(world, 'bob', { scopeLimit: true });
  const parts = await page.evaluate(async () => {
    const Key = 'users/bob/film';
    const { UploadId } = await put('multipartInit', { Key });
    const done = [];
    for (const PartNumber of [1, 2, 3, 4]) {
      const Body = new Blob([`part ${PartNumber};`]);
      const { ETag } = await put('multipartUpload', { Key, UploadId, PartNumber, Body });
      // A new instance for each part knows nothing of the others' credential, like a page that was loaded again.
      cos._StsCache = [];
      done.push({ PartNumber, ETag });
    }
    return put('multipartComplete', { Key, UploadId, Parts: done });
  });
  assert.equal(parts.status, 200, JSON.stringify([parts, world.storage.seen.slice(-8)]));
  assert.equal(String(world.storage.objects.get('users/bob/film')), 'part 1;part 2;part 3;part 4;');
  const ids = await handedOut();
  assert.ok(ids.length >= 4, `the page asked ${ids.length} times`);
  assert.deepEqual([...new Set(ids)], [key.secretId]);
  const records = (await world.service.records()).filter((record) => JSON.stringify(record).includes(key.secretId));
  assert.equal(records.length, 1, 'number of records');
});

test('two users write to two folders', async () => {
  const world = await started();
  for (const user of ['alice', 'bob']) {
    const { key } = await tab(world, user);
    const folder = `qcs::cos::uid/1250000000:${BUCKET}/users/${user}/*`;
    assert.deepEqual(await resourcesOf(world.service, key), [folder]);
  }
});

test('a key that the storage was not told of is refused, so that its check is one', async () => {
  const world = await started();
  const { page } = await tab(world, 'carol');
  const foreign = (change) =>
    page.evaluate(
      (change) => {
        const mine = cos.options.getAuthorization;
        cos._StsCache = [];
        cos.options.getAuthorization = (options, callback) => mine(options, (data) => callback({ ...data, ...change }));
        return put('putObject', { Key: 'users/carol/a', Body: 'x' }).finally(() => (cos.options.getAuthorization = mine));
      },
      change,
    );
  assert.equal((await foreign({ TmpSecretKey: 'x' })).code, 'SignatureDoesNotMatch');
  assert.equal((await foreign({ SecurityToken: 'x' })).code, 'InvalidSecurityToken');
  assert.equal((await foreign({ TmpSecretId: 'x' })).code, 'InvalidAccessKeyId');
});

await main();
