// Follows the revocation feed of an Attesto authority by the rules of docs/feed.md; needs `jose` and Node.js 20.
//
//     const feed = new Feed("https://login.example.com");
//     feed.follow();
//     feed.revoked(protectedHeader.kid, payload); // after the token's own checks: what ends it, or null
//     feed.age(); // seconds since the last good answer, or null: when it is too old, you decide
//
// `node consumer.mjs ISSUER [FILE]` answers lines {"kid": …, "claims": {…}} on standard input with {"revoked": …,
// "age": …}. The file has an access token in it, for an authority that shows its feed to nobody without.

import { createHash } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { compactVerify, importJWK } from "jose";

const KINDS = ["all", "kid", "client", "subject", "session", "jti"];
const [MAX_BYTES, LEEWAY, TIMEOUT] = [32 * 1024 * 1024, 60, 35];

/** Why an answer is not taken. What is known stays in force. */
export class Refused extends Error {
  name = "Refused";
}

function must(condition, reason) {
  if (!condition) throw new Refused(reason);
}

/** What is known. */
export class State {
  epoch = -1;
  seq = -1;
  // A hash means something with the salt of its epoch only: epoch => { salt, records: head => [notBefore, expires] }.
  epochs = new Map();

  /** Takes an answer that the key `kid` signed. What is refused changes nothing. */
  accept({ epoch, seq, after, salt, records }, kid, now) {
    const same = epoch === this.epoch;
    must(!this.#matches("kid", kid, 0, now), "key_revoked");
    must(epoch >= this.epoch, "older_epoch");
    must(!same || salt.equals(this.epochs.get(epoch).salt), "salt_changed");
    must(!same || seq >= this.seq, "rolled_back");
    must(after <= (same ? this.seq : 0), "gap");
    if (!same) this.epochs.set(epoch, { salt, records: new Map() });
    [this.epoch, this.seq] = [epoch, seq];
    const held = this.epochs.get(epoch).records;
    for (const [head, ...times] of records) {
      const [notBefore, expires] = held.get(head) ?? times;
      held.set(head, [Math.max(notBefore, times[0]), Math.max(expires, times[1])]);
    }
    for (const [each, { records }] of this.epochs) {
      for (const [head, [, expires]] of records) if (now >= expires) records.delete(head);
      if (records.size === 0 && each !== epoch) this.epochs.delete(each);
    }
  }

  /** The kind of record that ends a token, or null. A token without `iat` is as old as can be. */
  revoked(kid, claims, now) {
    const ids = ["", kid, claims.client_id, claims.sub, claims.sid, claims.jti];
    const iat = typeof claims.iat === "number" ? claims.iat : 0;
    const matches = (kind, i) => typeof ids[i] === "string" && this.#matches(kind, ids[i], iat, now);
    return KINDS.find(matches) ?? null;
  }

  #matches(kind, id, iat, now) {
    const number = KINDS.indexOf(kind);
    return [...this.epochs.values()].some(({ salt, records }) => {
      const digest = createHash("sha256").update(salt).update(Buffer.of(number)).update(id).digest();
      const head = Buffer.concat([Buffer.of(number, 0, 0, 0), digest.subarray(0, 12)]).toString("latin1");
      const [notBefore, expires] = records.get(head) ?? [0, 0];
      return now < expires && (["kid", "session", "jti"].includes(kind) || iat <= notBefore);
    });
  }
}

/** The payload of an answer, and who signed it; `keyOf` knows the keys of the feed and no others. */
export async function verified(text, keyOf) {
  must(text.length <= MAX_BYTES, "too_large");
  const parts = text.split(".");
  must(parts.length === 3 && parts.every((part) => decode(part).length > 0), "malformed");
  const header = parse(decode(parts[0]));
  const { typ, alg, kid } = header;
  must(typeof kid === "string" && typeof alg === "string" && !("crit" in header || "b64" in header), "malformed");
  must(typ === "revocations+jwt", "type");
  must(["RS256", "ES256"].includes(alg), "algorithm");
  const jwk = await keyOf(kid);
  must(alg === jwk.alg, "algorithm");
  await compactVerify(text, await importJWK(jwk), { algorithms: [alg] }).catch(() => must(false, "signature"));
  return { payload: decode(parts[1]), kid };
}

/** What a verified payload says. */
export function read(payload, issuer, now) {
  const claims = parse(payload);
  const integers = ["iat", "exp", "epoch", "seq", "after"].map((name) => claims[name]);
  must(integers.every((integer) => Number.isSafeInteger(integer) && integer >= 0), "malformed");
  must(["iss", "salt", "records"].every((name) => typeof claims[name] === "string"), "malformed");
  must(claims.iss === issuer, "issuer");
  must(claims.iat <= now + LEEWAY, "future");
  must(now < claims.exp + LEEWAY, "expired");
  const [salt, raw] = [decode(claims.salt), decode(claims.records)];
  must(salt.length === 16 && !salt.includes(0) && claims.after <= claims.seq, "malformed");
  must(raw.length % 24 === 0, "malformed");
  const records = [];
  for (let at = 0; at < raw.length; at += 24) {
    // To pass over a record that is not understood would be to accept what it ends.
    must(raw[at] < KINDS.length && raw.readUIntBE(at + 1, 3) === 0, "malformed");
    const head = raw.latin1Slice(at, at + 16); // kind, zeros, hash
    records.push([head, raw.readUInt32BE(at + 16), raw.readUInt32BE(at + 20)]);
  }
  return { ...claims, salt, records };
}

/** Base64url in its one spelling: no padding, no other character, no stray bits. */
function decode(text) {
  const raw = Buffer.from(text, "base64url");
  must(raw.toString("base64url") === text, "malformed");
  return raw;
}

/** A JSON object, in which no member stands twice: each colon outside of a string is a member that has to be there. */
function parse(raw) {
  let members = 0;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw);
    const outside = text.replaceAll(/\\./g, "").split('"').filter((_, i) => i % 2 === 0);
    const colons = outside.reduce((sum, piece) => sum + piece.split(":").length - 1, 0);
    const value = JSON.parse(text, function (_, member) {
      if (!Array.isArray(this)) members += 1;
      return member;
    });
    if (members - 1 === colons && value instanceof Object && !Array.isArray(value)) return value;
  } catch {}
  throw new Refused("malformed");
}

export class Feed {
  state = new State();
  keys = new Map();

  /** `token` gives an access token for each request, if the authority shows its feed to nobody without. */
  constructor(issuer, token) {
    Object.assign(this, { issuer: issuer.replace(/\/+$/, ""), token, acceptedAt: null, keysAt: -Infinity });
  }

  revoked(kid, claims) {
    return this.state.revoked(kid, claims, Date.now() / 1000);
  }

  age() {
    return this.acceptedAt === null ? null : (performance.now() - this.acceptedAt) / 1000;
  }

  async follow() {
    for (let query = "", pause = 1, rest; ; await sleep(1000 * Math.max(rest, 0))) {
      const [began, epoch, seq] = [performance.now(), this.state.epoch, this.state.seq];
      try {
        await this.poll(query);
        if (pause > 1) console.error("revocation feed: it is back");
        [query, pause] = [`?epoch=${this.state.epoch}&after=${this.state.seq}&wait=25`, 1];
        const isNew = this.state.epoch !== epoch || this.state.seq !== seq;
        rest = isNew ? 0 : 1 - (performance.now() - began) / 1000;
      } catch (cause) {
        // Whatever it is: what is known stays, and the next try may do better.
        console.error(`revocation feed: ${cause}${cause.cause ? `: ${cause.cause.message || cause.cause.code}` : ""}`);
        query = cause instanceof Refused && cause.message === "gap" ? "" : query.replace("&wait=25", "");
        rest = pause * (0.5 + Math.random() / 2);
        pause = Math.min(2 * pause, 30);
      }
    }
  }

  /** Asks once. The first question has no query: everything that is alive. */
  async poll(query) {
    const [text, receivedAt] = [(await this.#fetch(`/revocations${query}`)).latin1Slice(), performance.now()];
    const { payload, kid } = await verified(text, (kid) => this.#key(kid));
    const now = Date.now() / 1000;
    this.state.accept(read(payload, this.issuer, now), kid, now);
    this.acceptedAt = receivedAt;
  }

  /** A key of the feed's own set, which is fetched again for one that is not in it, every 10 seconds at most. */
  async #key(kid) {
    if (!this.keys.has(kid) && performance.now() >= this.keysAt + 10_000) {
      this.keysAt = performance.now();
      this.keys = keysOf(JSON.parse((await this.#fetch("/revocations/keys")).toString()));
    }
    must(this.keys.has(kid), "unknown_key");
    return this.keys.get(kid);
  }

  async #fetch(path) {
    const headers = this.token && { authorization: `Bearer ${await this.token()}` };
    const signal = AbortSignal.timeout(1000 * TIMEOUT);
    // Nobody else has the feed, nor is the token for anybody else.
    const response = await fetch(this.issuer + path, { headers, signal, redirect: "manual" });
    const why = response.headers.get("www-authenticate") ?? "";
    must(response.status === 200, `status ${response.status} ${why}`.trimEnd());
    const chunks = [];
    let bytes = 0;
    for await (const chunk of response.body) {
      bytes += chunk.length;
      must(bytes <= MAX_BYTES, "too_large");
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }
}

export function keysOf({ keys }) {
  return new Map(keys.map((jwk) => [jwk.kid, jwk]));
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [issuer, file, ...more] = process.argv.slice(2);
  if (!issuer || more.length > 0) {
    console.error("usage: consumer.mjs ISSUER [FILE]");
    process.exit(1);
  }
  const feed = new Feed(issuer, file && (() => readFileSync(file, "utf8").trim()));
  feed.follow();
  for await (const line of createInterface({ input: process.stdin })) {
    const { kid, claims } = JSON.parse(line);
    console.log(JSON.stringify({ revoked: feed.revoked(kid, claims), age: feed.age() }));
  }
  process.exit();
}
