// Checks the access token on standard input as a JavaScript service would, with jose and its remote JWK Set.
//
// The environment says ISSUER and AUDIENCE, JWKS_URL if the key set is not at its usual place, TYP if the header's
// type must match, and ATTESTO_TEST_NODE_MODULES, the folder that jose is installed in.
// Exit code 0: accepted, the claims are printed. 1: refused, the reason is on standard error. 2: no verdict.

import { createRequire } from "node:module";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const { ISSUER, AUDIENCE, JWKS_URL = `${ISSUER}/.well-known/jwks.json`, TYP, ATTESTO_TEST_NODE_MODULES } = process.env;

const ACCEPTED = 0;
const REFUSED = 1;
const NO_VERDICT = 2;

process.exitCode = await main();

async function main() {
  try {
    if (!ISSUER || !AUDIENCE) throw new TypeError("ISSUER and AUDIENCE must be set");
    const installed = createRequire(`${ATTESTO_TEST_NODE_MODULES}/`);
    const jose = await import(pathToFileURL(installed.resolve("jose")));
    const keys = jose.createRemoteJWKSet(new URL(JWKS_URL));
    // Without keys there is no verdict. The set is kept, so this is the only fetch.
    await keys.reload();
    if (keys.jwks().keys.length === 0) throw new TypeError("the JWK Set is empty");
    return await judge((await text(process.stdin)).trim(), keys, jose);
  } catch (error) {
    return say(error, NO_VERDICT);
  }
}

async function judge(token, keys, jose) {
  try {
    const { payload } = await jose.jwtVerify(token, keys, {
      algorithms: ["RS256"],
      issuer: ISSUER,
      audience: AUDIENCE,
      typ: TYP,
      requiredClaims: ["exp"],
    });
    console.log(JSON.stringify(payload));
    return ACCEPTED;
  } catch (error) {
    if (!(error instanceof jose.errors.JOSEError)) throw error;
    return say(error, REFUSED);
  }
}

function say(error, exitCode) {
  console.error(`${error.constructor.name}: ${error.message}`);
  return exitCode;
}
