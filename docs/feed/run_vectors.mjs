// Runs the consumer through vectors: one of them in JSON on each line of standard input, what came of it on
// each line of standard output. A step with a `payload` instead of an answer is taken as signed by `kid`.

import { createInterface } from "node:readline";

import { Refused, State, keysOf, read, verified } from "./consumer.mjs";

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await run(JSON.parse(line))));
}

async function run({ issuer, keys, steps }) {
  const [known, state, said] = [keysOf(keys), new State(), []];
  const keyOf = (kid) => {
    if (!known.has(kid)) throw new Refused("unknown_key");
    return known.get(kid);
  };
  for (const { answer, payload: unsigned, kid: signer, now, checks } of steps) {
    let verdict = "accepted";
    try {
      const trusted = () => ({ payload: Buffer.from(unsigned), kid: signer });
      const { payload, kid } = unsigned === undefined ? await verified(answer, keyOf) : trusted();
      state.accept(read(payload, issuer, now), kid, now);
    } catch (cause) {
      if (!(cause instanceof Refused)) throw cause;
      verdict = `refused:${cause.message}`;
    }
    const revoked = checks.map((check) => state.revoked(check.kid, check.claims, check.now));
    said.push({ verdict, revoked });
  }
  return said;
}
