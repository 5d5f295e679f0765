// Verifies a session token: `node verify.mjs KEYS ISSUER AUDIENCE TOKEN` prints its claims, or exits with 1.
// KEYS is a file: the JWK Set of the public session keys. Needs `npm install jose`.

import { readFileSync } from "node:fs";
import { createLocalJWKSet, errors, jwtVerify } from "jose";

const [keys, issuer, audience, token] = process.argv.slice(2);

// Finds the key by `kid`; ES256 takes a P-256 key alone, EdDSA an Ed25519 key.
const sessionKeys = createLocalJWKSet(JSON.parse(readFileSync(keys, "utf8")));

try {
  const { payload } = await jwtVerify(token, sessionKeys, {
    algorithms: ["ES256", "EdDSA"],
    typ: "mdrm-session+jwt",
    issuer,
    audience,
    requiredClaims: ["sub", "exp"],
    clockTolerance: 5, // seconds
  });
  console.log(JSON.stringify(payload));
} catch (error) {
  if (!(error instanceof errors.JOSEError)) throw error;
  console.error(`refused: ${error.message}`);
  process.exit(1);
}
