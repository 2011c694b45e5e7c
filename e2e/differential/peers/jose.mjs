// panva's jose: reads one line of settings and then cases, and answers each with a line.
//
// Set up as its documentation recommends: a local key set, issuer, audience, algorithms, tolerance,
// and the claims that must be there. Where several keys match, its documentation has all of them tried.

import { createInterface } from 'node:readline';
import { createLocalJWKSet, errors, jwtVerify } from 'jose';

let options;

async function verify(keySet, token) {
    const keys = createLocalJWKSet(JSON.parse(keySet));
    try {
        return await jwtVerify(token, keys, options);
    } catch (error) {
        if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
        for await (const key of error) {
            try {
                return await jwtVerify(token, key, options);
            } catch (innerError) {
                if (!(innerError instanceof errors.JWSSignatureVerificationFailed)) throw innerError;
            }
        }
        throw new errors.JWSSignatureVerificationFailed();
    }
}

for await (const line of createInterface({ input: process.stdin })) {
    const read = JSON.parse(line);
    if (options === undefined) {
        options = {
            // Ed25519 is the name of EdDSA's only algorithm here (RFC 9864).
            algorithms: [...read.algorithms, 'Ed25519'],
            audience: read.audience,
            clockTolerance: read.leeway,
            currentDate: new Date(read.now * 1000),
            issuer: read.issuers,
            requiredClaims: ['exp'],
        };
        continue;
    }
    try {
        await verify(read.key_set, read.token);
        console.log(JSON.stringify({ accepted: true }));
    } catch (error) {
        console.log(JSON.stringify({ accepted: false, why: `${error.code ?? error.name}: ${error.message}` }));
    }
}
