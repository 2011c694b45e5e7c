// The programs under test, started, asked and stopped.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

/** How long anything that has to happen may take, in milliseconds; not how long it should. */
const DEADLINE = 60_000;

/** What a developer's shell says about Keystead is not part of the scenario. */
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('KEYSTEAD_')),
);

/** oidc-provider, as server.mjs configures it. */
export class OidcProvider {
  /** Starts it with these private JWKs; without a port the kernel chooses one. */
  static async start(server, folder, keys, port) {
    const keysFile = join(folder, 'provider-keys.json');
    writeFileSync(keysFile, JSON.stringify({ keys }), { mode: 0o600 });
    const program = new Program(process.execPath, [server, keysFile, ...(port ? [port] : [])]);
    return new OidcProvider(program, await program.line((line) => line.match(/^http:.*/)?.[0]));
  }

  constructor(program, issuer) {
    this.program = program;
    this.issuer = issuer;
    this.port = new URL(issuer).port;
  }

  /** An access token for client credentials; without a resource it is an opaque one. */
  async token({ resource, scope } = {}) {
    const answer = await ask(`${this.issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('orders-service:not-a-secret')}` },
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        ...(resource && { resource }),
        ...(scope && { scope }),
      }),
    });
    assert.equal(answer.status, 200, `the provider gave no token: ${JSON.stringify(answer.body)}`);
    return answer.body.access_token;
  }

  /** The kids that it publishes. */
  async kids() {
    const { body } = await ask(`${this.issuer}/jwks`);
    return body.keys.map((key) => key.kid).sort();
  }

  stop() {
    return this.program.stop();
  }
}

/** `keystead serve`, and the verbs of the command line with the same configuration. */
export class Keystead {
  static async start(binary, configFile) {
    const program = new Program(binary, ['serve', '--config', configFile]);
    const address = (listener) => program.line((line) => addressOf(listener, line));
    return new Keystead(program, await address('public'), await address('admin'));
  }

  constructor(program, face, admin) {
    this.program = program;
    this.face = `http://${face}`;
    this.admin = `http://${admin}`;
  }

  forward(token) {
    return ask(`${this.face}/v1/auth/forward`, { headers: { authorization: `Bearer ${token}` } });
  }

  verify(token) {
    return ask(`${this.face}/v1/verify`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    });
  }

  async provider(name) {
    const { body } = await ask(`${this.admin}/status.json`);
    return body.providers[name];
  }

  /** Has a provider asked now, and waits for what comes of it. */
  refresh(name) {
    return ask(`${this.admin}/-/refresh/${name}`, { method: 'POST' });
  }

  stop() {
    return this.program.stop();
  }
}

/** One verb that ends by itself: its exit code, stdout and stderr. */
export function run(binary, args, input = '') {
  const done = spawnSync(binary, args, {
    input,
    env: ENVIRONMENT,
    encoding: 'utf8',
    timeout: DEADLINE,
  });
  assert.ifError(done.error);
  return { code: done.status, stdout: done.stdout, stderr: done.stderr };
}

/** One HTTP request; the body is parsed when it is JSON. */
export async function ask(url, options = {}) {
  // A connection that is kept would be to a program that may have been stopped since.
  const headers = { ...options.headers, connection: 'close' };
  const signal = AbortSignal.timeout(DEADLINE);
  const answer = await fetch(url, { ...options, headers, signal });
  const text = await answer.text();
  const json = /^application\/(.*\+)?json/.test(answer.headers.get('content-type') ?? '');
  return { status: answer.status, headers: answer.headers, body: json ? JSON.parse(text) : text };
}

/** Asks again and again until the answer is the wanted one; returns it. */
export async function eventually(what, answer, wanted) {
  const deadline = Date.now() + DEADLINE;
  for (;;) {
    const given = await answer();
    if (wanted(given)) return given;
    const late = () => `not within ${DEADLINE / 1000} s: ${what}; the last answer: ${shown(given)}`;
    if (Date.now() > deadline) assert.fail(late());
    await pause(50);
  }
}

/** A child process whose output is kept. It ends with this process, if not before. */
class Program {
  #output = [];
  #child;

  constructor(command, args) {
    this.#child = spawn(command, args, {
      env: ENVIRONMENT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.closed = once(this.#child, 'close');
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.#output.push(line));
    }
    process.once('exit', () => this.#child.kill('SIGKILL'));
  }

  /** What `find` makes of the first line that it makes something of. */
  line(find) {
    const found = () => this.#output.map(find).find(Boolean) ?? this.#ended();
    return eventually('a line that says it is ready', found, Boolean);
  }

  /** Everything that it has written so far. */
  get output() {
    return this.#output.join('\n');
  }

  get pid() {
    return this.#child.pid;
  }

  /** Asks it to end; returns its exit code, or the signal that had to end it. */
  async stop() {
    const overdue = setTimeout(() => this.#child.kill('SIGKILL'), DEADLINE);
    this.#child.kill('SIGTERM');
    const [code, signal] = await this.closed;
    clearTimeout(overdue);
    return code ?? signal;
  }

  #ended() {
    if (this.#child.exitCode === null) return undefined;
    throw new Error(`it ended with ${this.#child.exitCode}:\n${this.output}`);
  }
}

/** Where a listener is, if this is the log line that says so: the kernel chose its port. */
function addressOf(listener, line) {
  if (!line.startsWith('{')) return undefined;
  const logged = JSON.parse(line);
  const found = logged.event === 'listening' && logged.listener === listener;
  return found ? logged.address : undefined;
}

function shown(answer) {
  return JSON.stringify(answer, (_, value) =>
    value instanceof Headers ? Object.fromEntries(value) : value,
  );
}
