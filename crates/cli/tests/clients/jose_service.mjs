// Checks access tokens as a JavaScript service does that stays up: with jose and one remote JWK Set, which it keeps.
//
// Reads tokens, one a line, and answers each with a line: `accepted`, or `refused` and why. That no keys could be
// fetched is a refusal as well: to whoever sent the token it makes no difference.
//
// The environment says JWKS_URL, ISSUER and AUDIENCE, in seconds CACHE_MAX_AGE and COOLDOWN, which the set takes, and
// ATTESTO_TEST_NODE_MODULES, the folder that jose is installed in.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { ISSUER, AUDIENCE, JWKS_URL, CACHE_MAX_AGE, COOLDOWN, ATTESTO_TEST_NODE_MODULES } = process.env;

const installed = createRequire(`${ATTESTO_TEST_NODE_MODULES}/`);
const jose = await import(pathToFileURL(installed.resolve("jose")));
const keys = jose.createRemoteJWKSet(new URL(JWKS_URL), {
  cacheMaxAge: 1000 * Number(CACHE_MAX_AGE),
  cooldownDuration: 1000 * Number(COOLDOWN),
});

for await (const line of createInterface({ input: process.stdin })) {
  console.log(await verdict(line.trim()));
}

async function verdict(token) {
  try {
    await jose.jwtVerify(token, keys, {
      algorithms: ["RS256"],
      issuer: ISSUER,
      audience: AUDIENCE,
      requiredClaims: ["exp"],
    });
    return "accepted";
  } catch (error) {
    return `refused ${error.constructor.name}: ${error.message}`;
  }
}
