// What the cases for Node share that show what a client does when it is turned away: a server of the file's own with little
// room, metrics that tell how often it was asked, and the ways of being turned away for now.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { Service, atEnd, freePort, here, waitUntil } from './daypass.mjs';

const PLACES = 16; // as few as a server may have
const HELD = 10; // seconds, which is as long as an application may take
const ORIGIN = 'https://lesson.example.com';
const CAM = {
  version: '2.0',
  statement: { effect: 'allow', action: ['soe:TransmitOralProcessWithInit'], resource: '*' },
};
const RAM = { Version: '1', Statement: [{ Effect: 'Allow', Action: ['oss:PutObject'], Resource: ['acs:oss:*:*:pics/*'] }] };

export const RESOURCE = 'd6b7c858-55fa-4d04-85a6-131af690abd4';
export const ACCOUNT = '100000000001';
export const TENANT = '387c56a8-cf86-45de-b9f5-b4de88cac054';
export const TOP = fs.readFileSync(path.join(here, 'snippets/alibaba/top.toml'), 'utf8');

// Holds the write lock of a database until its input ends.
const LOCK = `import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
other.execute("BEGIN IMMEDIATE")
print("taken", flush=True)
sys.stdin.read()
other.execute("ROLLBACK")`;

// Everything that any of these clients asks for. The pages' application is slow: that is how the places are taken.
const roles = (application) => `
[[tenant.role]]
name = "soe"
policy = { cam = '${JSON.stringify(CAM)}' }
wildcard_reason = "SOE has no resource-level rights"

[[tenant.role]]
name = "uploads"
policy = { ram = '${JSON.stringify(RAM)}' }

[[tenant.role]]
name = "devcenter"
audience = "${RESOURCE}"
roles = ["orders.read"]
algorithm = "ES256"

[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/held"
tenant = "acme"
role = "soe"
origins = ["${ORIGIN}"]
limits = { network = { rate = 100000 } }
caller = { session = { cookie = "sid", whoami = "${application}", timeout = "${HELD}s" } }

[limits]
in_flight = ${PLACES}
`;

/** An application that knows every session, and answers nothing while it is told to hold. */
async function slow() {
  const waiting = new Set();
  let holds = false;
  const answer = (response) => {
    waiting.delete(response);
    response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"subject":"somebody"}');
  };
  const server = http.createServer((request, response) => {
    waiting.add(response);
    if (!holds) answer(response);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  atEnd(() => server.close());
  return {
    url: `http://127.0.0.1:${server.address().port}/whoami`,
    hold: () => (holds = true),
    release: () => {
      holds = false;
      waiting.forEach(answer);
    },
  };
}

/** What a client's user got: nothing but an error, or something; and how often the client itself asked for that. */
class Outcome {
  static async of(call) {
    const outcome = new Outcome();
    const began = performance.now();
    outcome.error = await call().then(
      (answer) => (answer ? '' : 'answered with nothing'),
      (error) => `${error?.name} ${error?.code} ${error?.message ?? error}`,
    );
    outcome.seconds = (performance.now() - began) / 1000;
    return outcome;
  }

  /** Its user sees this. */
  told(says) {
    assert.match(this.error, says);
  }

  /** It asked so often in vain, and for so much that is public, and its user sees this. */
  refused(says, tries = 1, others = 0) {
    this.told(says);
    assert.deepEqual([this.tries, this.asked], [tries, tries + others], 'questions in vain, and questions');
  }

  /** It asked again by itself, until it was served. */
  served() {
    assert.equal(this.error, '');
  }
}

/** A server with little room, running until the end of the file's cases. */
export class Bounded {
  static async start(name, { more = '', tls, clients }) {
    const bounded = new Bounded();
    bounded.application = await slow();
    bounded.metrics = `127.0.0.1:${await freePort()}`;
    const server = `metrics = "${bounded.metrics}"`;
    bounded.service = await Service.make(name, more + roles(bounded.application.url), { server, tls });
    bounded.keys = {};
    for (const [client, kind, ...args] of clients) {
      bounded.keys[client] = await bounded.service.client(client, kind, ...args);
    }
    await bounded.service.start();
    return bounded;
  }

  get host() {
    return this.service.host;
  }

  get url() {
    return this.service.url;
  }

  /** How often it was asked with this result, but by the pages that take the places; with every result, if none is named. */
  async asked(result) {
    const counts = (await this.samples()).matchAll(/^daypass_requests_total\{dialect="([\w.-]+)",result="(\w+)"\} (\d+)$/gm);
    let sum = 0;
    for (const [, dialect, its, n] of counts) {
      if (dialect !== 'tencent.getAuthorization' && its === (result ?? its)) sum += Number(n);
    }
    return sum;
  }

  async samples() {
    return (await fetch(`http://${this.metrics}/metrics`)).text();
  }

  /** What a client's user gets when it asks once. */
  async ask(call, result) {
    const [before, allBefore] = [await this.asked(result), await this.asked()];
    const outcome = await Outcome.of(call);
    outcome.tries = (await this.asked(result)) - before;
    outcome.asked = (await this.asked()) - allBefore;
    return outcome;
  }

  /** Runs while all places are taken by pages that wait for their application, for HELD seconds at the most. */
  async full(run) {
    const { application } = this;
    application.hold();
    let over = false;
    const page = async () => {
      // An application that was too slow the last time is not asked for a while.
      while (!over) await this.page();
    };
    const pages = Array.from({ length: PLACES }, page);
    try {
      const taken = async () => /^daypass_in_flight (\d+)$/m.exec(await this.samples())?.[1] === String(PLACES);
      await waitUntil(taken, 60, 'not all places were taken');
      return await run();
    } finally {
      over = true;
      application.release();
      await Promise.all(pages);
    }
  }

  page() {
    const headers = { Cookie: `sid=${process.hrtime.bigint()}`, Origin: ORIGIN, Connection: 'close' };
    const { get } = this.url.startsWith('https:') ? https : http;
    return new Promise((done, failed) => {
      get(`${this.url}/held`, { headers, agent: false }, (answer) => answer.resume().on('end', done)).on('error', failed);
    });
  }

  /** What becomes of clients that ask one after another while there is no room, and give up before there is. */
  async atTheBound(...calls) {
    for (let n = 0; n < 5; n++) {
      const [outcomes, seconds] = await this.full(async () => {
        const began = performance.now();
        return [await this.each(calls, 'overloaded'), (performance.now() - began) / 1000];
      });
      if (seconds < HELD - 1) return outcomes;
    }
    return assert.fail(`they do not come to an end within ${HELD} seconds`);
  }

  async each(calls, result) {
    const outcomes = [];
    for (const call of calls) outcomes.push(await this.ask(call, result));
    return outcomes;
  }

  /** What becomes of a client that asks while there is no room, which there is again once it was refused. */
  async roomComes(call) {
    let answer;
    await this.full(async () => {
      const before = await this.asked('overloaded');
      let done = false;
      answer = this.ask(call, 'overloaded').finally(() => (done = true));
      await waitUntil(async () => done || (await this.asked('overloaded')) > before, 60, 'nobody asks');
    });
    return answer;
  }

  /** What clients are told that ask too often, all with one key; after that they are served again. */
  async aboveItsRate(name, ...calls) {
    await this.service.command('client', 'limit', name, '--rate', '1/h', '--burst', '1');
    return this.refused(name, calls);
  }

  /** What clients are told whose key has had everything of this day; after that they are served again. */
  async dayUsedUp(name, ...calls) {
    const left = 86_400_000 - (Date.now() % 86_400_000);
    // Else there would be another day before the case is over.
    if (left < 60_000) await new Promise((done) => setTimeout(done, left + 1000));
    await this.service.command('client', 'limit', name, '--daily', '1');
    return this.refused(name, calls);
  }

  async refused(name, calls) {
    const [first, ...others] = calls;
    let outcome;
    // The bound is in force within two seconds, and what came before it counts for nothing.
    await waitUntil(async () => (outcome = await this.ask(first, 'rate_limited')).error, 60, `${name} is not refused`);
    const outcomes = [outcome, ...(await this.each(others, 'rate_limited'))];
    await this.service.command('client', 'limit', name, '--none');
    for (const call of calls) {
      await waitUntil(async () => !(await Outcome.of(call)).error, 60, `${name} is not served any more`);
    }
    return outcomes;
  }

  /** A client that waits by itself where it asks too often: it is refused, and served. Twenty a minute are three seconds. */
  async waitsForItsRate(name, call) {
    await this.service.command('client', 'limit', name, '--rate', '20/m', '--burst', '1');
    const refused = async () => {
      const outcome = await this.ask(call, 'rate_limited');
      outcome.served();
      return outcome.tries > 0;
    };
    await waitUntil(refused, 60, `${name} is not refused`);
    await this.service.command('client', 'limit', name, '--none');
  }

  /**
   * What becomes of clients that all ask while the store is away, which comes back once each was refused; and how often they asked
   * in vain. After that all are served.
   */
  async whileAway(...calls) {
    const before = await this.asked('unavailable');
    const tries = async () => (await this.asked('unavailable')) - before;
    const giveBack = await this.takeStore();
    let answers;
    try {
      answers = calls.map((call) => Outcome.of(call));
      await waitUntil(async () => (await tries()) >= calls.length, 60, 'not all were refused');
    } finally {
      await giveBack();
    }
    const outcomes = await Promise.all(answers);
    const inVain = await tries();
    for (const call of calls) {
      const served = async () => !(await Outcome.of(call)).error;
      await waitUntil(served, 60, 'after the store came back a client is not served');
    }
    return [outcomes, inVain];
  }

  /** Has somebody else take the store's write lock, so that nothing can be recorded; how he gives it back. */
  async takeStore() {
    const file = path.join(this.service.folder, 'data', 'daypass.db');
    const other = spawn(process.env.DAYPASS_PYTHON, ['-c', LOCK, file], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = new Promise((done) => other.once('exit', done));
    await Promise.race([new Promise((done) => other.stdout.once('data', done)), ended]);
    assert.equal(other.exitCode, null, 'the store could not be locked');
    return async () => {
      other.stdin.end();
      await ended;
    };
  }
}
