"""Follows the revocation feed of an Attesto authority by the rules of docs/feed.md; needs `PyJWT[crypto]`.

    feed = Feed("https://login.example.com")
    threading.Thread(target=feed.follow, daemon=True).start()  # in each process: a fork does not take it along
    feed.revoked(header["kid"], claims)  # after the token's own checks: the kind of record that ends it, or None
    feed.age()  # seconds since the last good answer, or None: when it is too old, you decide

`consumer.py ISSUER [FILE]` answers lines {"kid": …, "claims": {…}} on standard input with {"revoked": …, "age": …}.
The file has an access token in it, for an authority that shows its feed to nobody without.
"""

import base64, gzip, hashlib, io, json, logging, random, struct, sys, threading, time  # noqa: E401
import urllib.error, urllib.request  # noqa: E401

import jwt

KINDS = ("all", "kid", "client", "subject", "session", "jti")
MAX_BYTES, LEEWAY, TIMEOUT = 32 * 1024 * 1024, 60, 35


class Refused(Exception):
    """Why an answer is not taken. What is known stays in force."""


def must(condition, reason):
    if not condition:
        raise Refused(reason)


class State:
    """What is known. It is never changed, only followed by another one."""

    def __init__(self, epoch=-1, seq=-1, epochs={}):
        # A hash means something with the salt of its epoch only: {epoch: (salt, {head: (not_before, expires)})}.
        self.epoch, self.seq, self.epochs = epoch, seq, epochs

    def accept(self, answer, kid, now):
        """The state after an answer that the key `kid` signed."""
        epoch, seq, same = answer["epoch"], answer["seq"], answer["epoch"] == self.epoch
        salt, held = self.epochs[epoch] if same else (answer["salt"], {})
        must(not self.match("kid", kid, 0, now), "key_revoked")
        must(epoch >= self.epoch, "older_epoch")
        must(answer["salt"] == salt, "salt_changed")
        must(not same or seq >= self.seq, "rolled_back")
        must(answer["after"] <= (self.seq if same else 0), "gap")
        records = dict(held)
        for head, *times in answer["records"]:
            records[head] = tuple(map(max, times, records.get(head, times)))
        epochs = {**self.epochs, epoch: (salt, records)}.items()
        living = ((e, (s, {head: t for head, t in r.items() if now < t[1]})) for e, (s, r) in epochs)
        return State(epoch, seq, {e: kept for e, kept in living if kept[1] or e == epoch})

    def revoked(self, kid, claims, now):
        """The kind of record that ends a token, or None. A token without `iat` is as old as can be."""
        ids = ("", kid, *map(claims.get, ("client_id", "sub", "sid", "jti")))
        iat = claims.get("iat") if type(claims.get("iat")) in (int, float) else 0
        return next((k for k, id in zip(KINDS, ids) if type(id) is str and self.match(k, id, iat, now)), None)

    def match(self, kind, id, iat, now):
        number = KINDS.index(kind).to_bytes(1, "big")
        for salt, records in self.epochs.values():
            head = number + b"\0\0\0" + hashlib.sha256(salt + number + id.encode(errors="surrogatepass")).digest()[:12]
            not_before, expires = records.get(head, (0, 0))
            if now < expires and (kind in ("kid", "session", "jti") or iat <= not_before):
                return True
        return False


def verified(text, key_of):
    """The payload of an answer, and who signed it; `key_of` knows the keys of the feed and no others."""
    must(len(text) <= MAX_BYTES, "too_large")
    must(text.count(".") == 2 and all(map(decode, text.split("."))), "malformed")
    header = parse(decode(text.split(".")[0]))
    kid, alg = header.get("kid"), header.get("alg")
    must(type(kid) is type(alg) is str and not header.keys() & {"crit", "b64"}, "malformed")
    must(header.get("typ") == "revocations+jwt", "type")
    must(alg in ("RS256", "ES256") and alg == key_of(kid).algorithm_name, "algorithm")
    try:
        return jwt.PyJWS().decode(text, key_of(kid), algorithms=[alg]), kid
    except jwt.InvalidTokenError:
        raise Refused("signature") from None


def read(payload, issuer, now):
    """What a verified payload says."""
    claims = parse(payload)
    integers = [claims.get(name) for name in ("iat", "exp", "epoch", "seq", "after")]
    must(all(type(integer) is int and 0 <= integer < 2**53 for integer in integers), "malformed")
    must(all(type(claims.get(name)) is str for name in ("iss", "salt", "records")), "malformed")
    must(claims["iss"] == issuer, "issuer")
    must(claims["iat"] <= now + LEEWAY, "future")
    must(now < claims["exp"] + LEEWAY, "expired")
    salt, records = decode(claims["salt"]), decode(claims["records"])
    must(len(salt) == 16 and 0 not in salt and claims["after"] <= claims["seq"], "malformed")
    must(len(records) % 24 == 0, "malformed")
    records = list(struct.iter_unpack(">16sII", records))  # head (kind, zeros, hash), not_before, expires
    # To pass over a record that is not understood would be to accept what it ends.
    must(all(head[0] < len(KINDS) and head[1:4] == b"\0\0\0" for head, _, _ in records), "malformed")
    return {**claims, "salt": salt, "records": records}


def decode(text):
    """Base64url in its one spelling: no padding, no other character, no stray bits."""
    try:
        raw = base64.urlsafe_b64decode(text + "==")
    except ValueError:
        raise Refused("malformed") from None
    must(base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text, "malformed")
    return raw


def parse(raw):
    """A JSON object, in which no member stands twice."""

    def unique(members):
        must(len(dict(members)) == len(members), "malformed")
        return dict(members)

    try:
        value = json.loads(raw.decode(), object_pairs_hook=unique, parse_constant=int)  # int knows no NaN either
    except (ValueError, RecursionError):
        raise Refused("malformed") from None
    must(type(value) is dict, "malformed")
    return value


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """The token is for the authority alone, and only it has the feed."""

    def redirect_request(self, *_):
        return None


class Feed:
    def __init__(self, issuer, token=None):
        """`token` gives an access token for each request, if the authority shows its feed to nobody without."""
        self.issuer, self.token = issuer.rstrip("/"), token
        self.state, self.accepted_at, self.keys, self.keys_at = State(), None, {}, None

    def revoked(self, kid, claims):
        return self.state.revoked(kid, claims, time.time())

    def age(self):
        return self.accepted_at and time.monotonic() - self.accepted_at

    def follow(self):
        query, pause = "", 1
        while True:
            began, before = time.monotonic(), (self.state.epoch, self.state.seq)
            try:
                self.poll(query)
                if pause > 1:
                    logging.warning("revocation feed: it is back")
                epoch, seq = self.state.epoch, self.state.seq
                query, pause = f"?epoch={epoch}&after={seq}&wait=25", 1
                rest = began + 1 - time.monotonic() if (epoch, seq) == before else 0
            except Exception as cause:  # Whatever it is: what is known stays, and the next try may do better.
                logging.warning("revocation feed: %s: %s", type(cause).__name__, cause)
                query = "" if str(cause) == "gap" else query.removesuffix("&wait=25")
                rest, pause = pause * random.uniform(0.5, 1), min(2 * pause, 30)
            time.sleep(max(rest, 0))

    def poll(self, query):
        """Asks once. The first question has no query: everything that is alive."""
        text, received_at = self.fetch("/revocations" + query).decode("latin-1"), time.monotonic()
        payload, kid = verified(text, self.key)
        now = time.time()
        self.state = self.state.accept(read(payload, self.issuer, now), kid, now)
        self.accepted_at = received_at

    def key(self, kid):
        """A key of the feed's own set, which is fetched again for one that is not in it, every 10 seconds at most."""
        if kid not in self.keys and (self.keys_at is None or time.monotonic() >= self.keys_at + 10):
            self.keys_at = time.monotonic()
            self.keys = keys_of(json.loads(self.fetch("/revocations/keys")))
        must(kid in self.keys, "unknown_key")
        return self.keys[kid]

    def fetch(self, path):
        request = urllib.request.Request(self.issuer + path, headers={"Accept-Encoding": "gzip"})
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token()}")
        deadline, body = time.monotonic() + TIMEOUT, bytearray()
        try:
            with urllib.request.build_opener(NoRedirects).open(request, timeout=TIMEOUT) as response:
                while chunk := response.read1(1 << 20):
                    body += chunk
                    must(len(body) <= MAX_BYTES and time.monotonic() < deadline, "too_large")
        except urllib.error.HTTPError as answer:
            raise Refused(f"status {answer.code} {answer.headers['WWW-Authenticate'] or ''}".rstrip()) from None
        if response.headers["Content-Encoding"] == "gzip":
            body = gzip.GzipFile(fileobj=io.BytesIO(body)).read(MAX_BYTES + 1)
        return bytes(body)


def keys_of(jwk_set):
    return {key.key_id: key for key in jwt.PyJWKSet.from_dict(jwk_set).keys}


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: consumer.py ISSUER [FILE]")
    issuer, *file = sys.argv[1:]
    feed = Feed(issuer, (lambda: open(file[0]).read().strip()) if file else None)
    threading.Thread(target=feed.follow, daemon=True).start()
    for line in sys.stdin:
        token = json.loads(line)
        print(json.dumps({"revoked": feed.revoked(token["kid"], token["claims"]), "age": feed.age()}), flush=True)
