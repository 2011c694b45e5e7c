// An OpenID provider on loopback: oidc-provider with the least configuration that gives access
// tokens as JWTs (RFC 9068) for client credentials. For tests only: its client's secret is below.
//
//     node server.mjs JWK_SET_FILE [PORT]
//
// The file holds the private keys that it signs with; it publishes their public halves. Without a
// port the kernel chooses one. It prints its issuer as soon as it answers, and ends on SIGTERM. To
// rotate its keys, start it again on the same port with another file: the issuer stays the same.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

import Provider, { errors } from 'oidc-provider';

const CLIENT = { id: 'orders-service', secret: 'not-a-secret' };

// What a client names as its `resource` (RFC 8707) decides whom the token is for, and its signature.
const RESOURCES = {
  'urn:example:catalog': { audience: 'catalog', alg: 'RS256' },
  'urn:example:catalog:ps256': { audience: 'catalog', alg: 'PS256' },
  'urn:example:catalog:es256': { audience: 'catalog', alg: 'ES256' },
  'urn:example:catalog:eddsa': { audience: 'catalog', alg: 'EdDSA' },
  'urn:example:billing': { audience: 'billing', alg: 'RS256' },
};

const SCOPES = 'catalog:read catalog:write';

const [keysFile, port = '0'] = process.argv.slice(2);
const jwks = JSON.parse(readFileSync(keysFile, 'utf8'));

// The issuer contains the port, so the socket is there before the provider.
const server = createServer();
server.listen(Number(port), '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;

server.on('request', provider(issuer, jwks).callback());
console.log(issuer);
process.once('SIGTERM', () => process.exit(0));

function provider(issuer, jwks) {
  return new Provider(issuer, {
    jwks,
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    scopes: SCOPES.split(' '),
    cookies: { keys: ['never used: nobody logs in here'] },
    ttl: { ClientCredentials: 600 },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: { enabled: true, getResourceServerInfo },
    },
  });
}

function getResourceServerInfo(_context, resource) {
  if (!Object.hasOwn(RESOURCES, resource)) throw new errors.InvalidTarget();
  const { audience, alg } = RESOURCES[resource];
  return { audience, scope: SCOPES, accessTokenFormat: 'jwt', jwt: { sign: { alg } } };
}
