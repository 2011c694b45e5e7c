// Keystead beside an OpenID provider that nobody here wrote: found by discovery, killed, missed at
// a restart, back again, and with new keys. The steps build on each other, in this order.
//
//     node --test-reporter=spec scenario.mjs KEYSTEAD_BINARY SERVER_MJS FOLDER_OF_RSA_KEYS

import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { Keystead, OidcProvider, eventually, run } from './programs.mjs';

const [binary, server, rsaKeys] = process.argv.slice(2);

const CATALOG = 'urn:example:catalog';
const READ = 'catalog:read';

const folder = mkdtempSync(join(tmpdir(), 'keystead-oidc-provider-'));
const configFile = join(folder, 'keystead.json');
const tokens = [];
const servers = [];
let provider;
let keystead;
let firstToken;

step('keystead finds the keys by discovery', async () => {
  provider = await OidcProvider.start(server, folder, keys('rsa-0.pem'));
  configure(provider.issuer);
  await startKeystead();
  const status = await state('ready');
  assert.equal(status.issuer, provider.issuer);
  assert.deepEqual(kidsOf(status), await provider.kids());
});

for (const [alg, resource] of [
  ['RS256', CATALOG],
  ['PS256', `${CATALOG}:ps256`],
  ['ES256', `${CATALOG}:es256`],
  ['EdDSA', `${CATALOG}:eddsa`],
]) {
  step(`an access token signed with ${alg} is let through, with identity headers`, async () => {
    const token = await issue({ resource, scope: `${READ} catalog:write` });
    assert.equal(part(token, 0).alg, alg);
    const { status, headers } = await keystead.forward(token);
    assert.equal(status, 200);
    assert.equal(headers.get('x-keystead-subject'), 'orders-service');
    assert.equal(headers.get('x-keystead-issuer'), provider.issuer);
    assert.equal(headers.get('x-keystead-provider'), 'real');
    assert.equal(headers.get('x-keystead-scope'), 'catalog:read%20catalog:write');
  });
}

step('a token for another audience is refused', async () => {
  const token = await issue({ resource: 'urn:example:billing', scope: READ });
  const { status, headers, body } = await keystead.forward(token);
  assert.equal(status, 401);
  assert.equal(body.code, 'audience.not_accepted');
  assert.match(headers.get('www-authenticate'), /^Bearer .*error="invalid_token"/);
});

step('a token without the scope is refused as genuine, but not enough', async () => {
  const { status, headers, body } = await keystead.forward(await issue({ resource: CATALOG }));
  assert.equal(status, 403);
  assert.equal(body.code, 'scope.insufficient');
  assert.match(headers.get('www-authenticate'), /error="insufficient_scope"/);
});

step('an opaque access token is refused as no JWT', async () => {
  const { status, body } = await keystead.forward(await issue({ scope: READ }));
  assert.equal(status, 401);
  assert.equal(body.code, 'token.segments');
});

step('a token that was changed after it was signed is refused', async () => {
  const [header, , signature] = (await issue({ resource: CATALOG, scope: READ })).split('.');
  const [, payload] = (await issue({ resource: CATALOG, scope: READ })).split('.');
  const { status, body } = await keystead.forward(`${header}.${payload}.${signature}`);
  assert.equal(status, 401);
  assert.equal(body.code, 'signature.invalid');
});

step('/v1/verify answers with the claims as the provider wrote them', async () => {
  firstToken = await issue({ resource: CATALOG, scope: READ });
  const { status, body } = await keystead.verify(firstToken);
  assert.equal(status, 200);
  assert.equal(body.provider, 'real');
  assert.equal(body.issuer, provider.issuer);
  assert.equal(body.kid, part(firstToken, 0).kid);
  assert.deepEqual(body.claims, part(firstToken, 1));
});

step('keystead verify asks the provider and prints the claims, or the refusal', async () => {
  const good = run(binary, ['verify', '--config', configFile, '-'], firstToken);
  assert.equal(good.code, 0, good.stderr);
  assert.deepEqual(JSON.parse(good.stdout), part(firstToken, 1));

  const byFlags = ['--issuer', provider.issuer, '--audience', 'catalog'];
  assert.equal(run(binary, ['verify', ...byFlags, '-'], firstToken).code, 0);

  const foreign = await issue({ resource: 'urn:example:billing', scope: READ });
  const refused = run(binary, ['verify', '--config', configFile, '-'], foreign);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /"billing"/);
});

step('keystead explain agrees, and shows what it looked at', async () => {
  const explain = (token) => run(binary, ['explain', '--config', configFile, '-'], token);
  const good = explain(firstToken);
  assert.equal(good.code, 0, good.stderr);
  assert.ok(good.stdout.includes(part(firstToken, 0).kid), good.stdout);
  const opaque = explain(await issue({ scope: READ }));
  assert.equal(opaque.code, 1);
  assert.match(opaque.stdout, /token\.segments/);
});

step('keystead keys lists the keys of the provider', async () => {
  assert.deepEqual(listedKids(), await provider.kids());
});

step('the provider is killed: its tokens are still let through', async () => {
  await provider.stop();
  assert.equal((await keystead.forward(firstToken)).status, 200);
  assert.equal((await keystead.refresh('real')).status, 503);
  await state('stale');
  assert.equal((await keystead.forward(firstToken)).status, 200);
});

step('a restart while it is away: 503, and 401 for what no key could save', async () => {
  assert.equal(await keystead.stop(), 0);
  await startKeystead();
  const { status, headers, body } = await keystead.forward(firstToken);
  assert.equal(status, 503);
  assert.equal(body.code, 'keys.unavailable');
  const retryAfter = Number(headers.get('retry-after'));
  assert.ok(retryAfter >= 1 && retryAfter <= 60, `Retry-After: ${headers.get('retry-after')}`);

  const foreign = tokens.find((token) => token.includes('.') && part(token, 1).aud === 'billing');
  assert.equal((await keystead.forward(foreign)).body.code, 'audience.not_accepted');
  assert.equal(run(binary, ['verify', '--config', configFile, '-'], firstToken).code, 69);
});

step('the provider is back: let through, without another restart', async () => {
  await restartProvider('rsa-0.pem');
  await eventually('the token is let through', () => keystead.forward(firstToken), is(200));
});

step('the provider has new keys: new tokens are let through at once, old ones no more after the second answer', async () => {
  const before = await provider.kids();
  await provider.stop();
  await restartProvider('rsa-1.pem');
  const kids = await provider.kids();
  assert.ok(kids.every((kid) => !before.includes(kid)), 'every key is another one');

  const token = await issue({ resource: CATALOG, scope: READ });
  assert.equal((await keystead.forward(token)).status, 200);
  // None of the known keys is in the new set: one answer does not take them away, a second does.
  assert.equal((await keystead.forward(firstToken)).status, 200);
  assert.equal((await keystead.refresh('real')).status, 200);
  const gone = await keystead.forward(firstToken);
  assert.equal(gone.status, 401);
  assert.equal(gone.body.code, 'key.unknown_kid');
  assert.equal((await keystead.forward(token)).status, 200);
  assert.deepEqual(listedKids(), kids);
});

step('it ends when asked to, and no token stands in its log', async () => {
  assert.equal(await keystead.stop(), 0);
  const log = servers.map((server) => server.program.output).join('\n');
  assert.match(log, /key\.unknown_kid/, 'refusals are logged');
  for (const token of tokens) {
    const secret = token.split('.').at(-1);
    assert.ok(!log.includes(secret), 'a token or its signature stands in the log');
  }
});

after(() => Promise.all([keystead?.stop(), provider?.stop()]));
process.once('SIGTERM', () => process.exit(1));
process.once('exit', () => rmSync(folder, { recursive: true }));

/** A test that is skipped when one before it failed, because it would only repeat that failure. */
function step(name, body) {
  test(name, async (t) => {
    if (step.failed) return t.skip(`"${step.failed}" failed`);
    step.failed = name;
    try {
      await body();
      step.failed = undefined;
    } catch (error) {
      t.diagnostic(`keystead wrote:\n${keystead?.program.output ?? 'nothing, it was not started'}`);
      t.diagnostic(`the provider wrote:\n${provider?.program.output ?? 'nothing'}`);
      throw error;
    }
  });
}

function configure(issuer) {
  const config = {
    version: 1,
    listen: '127.0.0.1:0',
    admin_listen: '127.0.0.1:0',
    drain: '0s',
    log: { format: 'json' },
    providers: {
      real: { issuer, audiences: ['catalog'], scopes: [READ] },
    },
  };
  writeFileSync(configFile, JSON.stringify(config));
}

async function startKeystead() {
  keystead = await Keystead.start(binary, configFile);
  servers.push(keystead);
}

/** Starts the provider again where it was, so under the same issuer. */
async function restartProvider(rsa) {
  const { issuer, port } = provider;
  provider = await OidcProvider.start(server, folder, keys(rsa), port);
  assert.equal(provider.issuer, issuer);
}

/** Private JWKs: a fixed RSA key, since generating one is slow, and new ones of the other types. */
function keys(rsa) {
  const fixed = createPrivateKey(readFileSync(join(rsaKeys, rsa)));
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const ed25519 = generateKeyPairSync('ed25519').privateKey;
  return [fixed, ec, ed25519].map((key) => ({ ...key.export({ format: 'jwk' }), use: 'sig' }));
}

async function issue(request) {
  const token = await provider.token(request);
  tokens.push(token);
  return token;
}

/** The header (0) or the claims (1) of a token. */
function part(token, index) {
  return JSON.parse(Buffer.from(token.split('.')[index], 'base64url'));
}

function state(wanted) {
  const found = (status) => status?.state === wanted;
  return eventually(`the provider is ${wanted}`, () => keystead.provider('real'), found);
}

function listedKids() {
  const listed = run(binary, ['keys', 'real', '--config', configFile, '--format', 'json']);
  assert.equal(listed.code, 0, listed.stderr);
  return kidsOf(JSON.parse(listed.stdout).providers.real);
}

function kidsOf(status) {
  return status.keys.map((key) => key.kid).sort();
}

function is(status) {
  return (answer) => answer.status === status;
}
