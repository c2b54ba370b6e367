"""Writes vectors.json anew, with the keys that are in it: `make_vectors.py > new.json`, with `PyJWT[crypto]`.

Signatures of RS256 are the same each time, and so are those of ES256 here (RFC 6979), so that the file does not change
unless what it says does.
"""

import base64
import functools
import hashlib
import json
import pathlib
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, RSAAlgorithm

FILE = pathlib.Path(__file__).with_name("vectors.json")
ISSUER = "https://issuer.example"
NOW = 1_800_000_000
EPOCH = 1_799_000_000_000
SALT, SALT_2, SALT_3 = b"salt of 16 bytes", b"another of these", b"and a third salt"
ALL, KID, CLIENT, SUBJECT, SESSION, JTI = range(6)
PRIVATE = {"d", "p", "q", "dp", "dq", "qi"}
END = NOW + 720

SIGNERS = json.loads(FILE.read_text())["signers"]
FEED, FEED_ES256, TOKENS = SIGNERS["feed"], SIGNERS["feed ES256"], SIGNERS["tokens"]

# An access token, as the consumer sees it once it has checked it.
TOKEN = {
    "kid": "k1",
    "claims": {"client_id": "web", "sub": "42", "sid": "5f0c", "jti": "a1b2", "iat": NOW - 10, "exp": NOW + 590},
}
IDS = {ALL: "", KID: "k1", CLIENT: "web", SUBJECT: "42", SESSION: "5f0c", JTI: "a1b2"}
MISSING = object()
NAMES = ["all", "kid", "client", "subject", "session", "jti"]


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def record(kind, id=None, not_before=NOW, expires=END, *, salt=SALT, flags=0, reserved=0):
    id = IDS[kind] if id is None else id
    hash = hashlib.sha256(salt + bytes([kind]) + id.encode()).digest()[:12]
    numbers = (kind, 1), (flags, 1), (reserved, 2)
    head = b"".join(number.to_bytes(size, "big") for number, size in numbers)
    return head + hash + not_before.to_bytes(4, "big") + expires.to_bytes(4, "big")


def payload(records=(), seq=1, after=0, iat=NOW, **others):
    claims = {"iss": ISSUER, "iat": iat, "exp": iat + 60, "epoch": EPOCH, "salt": b64(SALT), "seq": seq}
    return {**claims, "after": after, "records": b64(b"".join(records)), **others}


def answer(*arguments, by=FEED, header=None, **others):
    return signed(compact(payload(*arguments, **others)), by, header)


def without(name):
    claims = payload()
    del claims[name]
    return signed(compact(claims))


def signed(text, by=FEED, header=None):
    header = header or {}
    if isinstance(header, dict):
        header = compact({"typ": "revocations+jwt", "alg": by["alg"], "kid": by["kid"], **header})
    text = text if isinstance(text, bytes) else text.encode()
    signing_input = f"{b64(header.encode())}.{b64(text)}"
    return f"{signing_input}.{b64(signature(signing_input.encode(), by))}"


def signature(message, by):
    if by["kty"] == "oct":
        algorithm = HMACAlgorithm(HMACAlgorithm.SHA256)
        return algorithm.sign(message, algorithm.from_jwk(by))
    key = private_key(json.dumps(by))
    if by["kty"] == "RSA":
        return key.sign(message, padding.PKCS1v15(), SHA256())
    der = key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))
    return b"".join(number.to_bytes(32, "big") for number in utils.decode_dss_signature(der))


@functools.cache
def private_key(jwk):
    return (RSAAlgorithm if json.loads(jwk)["kty"] == "RSA" else ECAlgorithm).from_jwk(jwk)


def step(verdict, text, *checks, now=NOW):
    return {"now": now, "answer": text, "verdict": verdict, "checks": list(checks)}


def check(revoked, now=NOW, kid="k1", **claims):
    claims = {name: value for name, value in {**TOKEN["claims"], **claims}.items() if value is not MISSING}
    return {"now": now, "kid": kid, "claims": claims, "revoked": revoked}


def vectors():
    accepted, ended = "accepted", answer([record(SESSION)])
    yield "an empty feed", [step(accepted, answer(seq=0), check(None))]
    yield "an empty snapshot at a later position", [step(accepted, answer(seq=7), check(None))]
    yield "a key with ES256", [step(accepted, answer([record(SESSION)], by=FEED_ES256), check("session"))]

    # Each kind, the token that it ends, and its neighbours.
    others = {"client_id": "cli", "sub": "7", "sid": "beef", "jti": "c3d4"}
    for kind in (CLIENT, SUBJECT, SESSION, JTI):
        claim = ("client_id", "sub", "sid", "jti")[kind - 2]
        yield f"a record of the kind {NAMES[kind]}", [
            step(
                accepted,
                answer([record(kind)]),
                check(NAMES[kind]),
                check(None, **{claim: others[claim]}),
                check(None, **{claim: IDS[kind] + "0"}),
                check(None, **{claim: MISSING}),
            )
        ]
    yield "a record of the kind all", [
        step(accepted, answer([record(ALL)]), check("all"), check("all", kid="k2", **others), check(None, iat=NOW + 1))
    ]
    yield "a record of the kind kid", [
        step(accepted, answer([record(KID)]), check("kid"), check(None, kid="k2"), check("kid", iat=NOW + 500))
    ]
    yield "an identifier is looked up under its own kind only", [
        step(accepted, answer([record(SUBJECT, "web"), record(CLIENT, "42"), record(SESSION, "a1b2")]), check(None))
    ]
    yield "an identifier beyond ASCII", [
        step(accepted, answer([record(SUBJECT, "zoë 🦀")]), check("subject", sub="zoë 🦀"), check(None, sub="zoe"))
    ]
    yield "a claim of the wrong type counts as missing", [
        step(
            accepted,
            answer([record(CLIENT, "7"), record(SUBJECT, "7"), record(SESSION, "7"), record(JTI, "7")]),
            *(check(None, **{claim: value}) for claim in others for value in (7, ["7"], {"7": "7"}, True, None)),
            check("subject", client_id=["web"], sub="7", sid=7),
        )
    ]
    yield "so does an iat of the wrong type, but not one with a fraction", [
        step(
            accepted,
            answer([record(ALL)]),
            *(check("all", iat=value) for value in (str(NOW + 9), [NOW + 9], {}, True, None, NOW - 0.5, 0, -1)),
            check(None, iat=NOW + 0.5),
            check(None, iat=NOW + 1.0),
            check(None, iat=2**64),
        )
    ]
    yield "all kinds at once, and members that nobody knows", [
        step(
            accepted,
            answer(
                [record(kind, "x") for kind in (KID, CLIENT, SUBJECT, SESSION, JTI)], next="…", more={"a": [1.5, None]}
            ),
            check("kid", kid="x"),
            check("client", client_id="x"),
            check("subject", sub="x"),
            check("session", sid="x"),
            check("jti", jti="x"),
            check(None),
        )
    ]

    # Boundaries.
    for kind in (ALL, CLIENT, SUBJECT):
        yield f"not_before of {NAMES[kind]}, to the second", [
            step(
                accepted,
                answer([record(kind, not_before=NOW - 5)]),
                check(NAMES[kind], iat=NOW - 6),
                check(NAMES[kind], iat=NOW - 5),
                check(None, iat=NOW - 4),
                check(NAMES[kind], iat=MISSING),
            )
        ]
    for kind in (KID, SESSION, JTI):
        yield f"not_before of {NAMES[kind]} is not asked", [
            step(accepted, answer([record(kind, not_before=1)]), check(NAMES[kind]), check(NAMES[kind], iat=NOW + 500))
        ]
    yield "a record ends at expires, to the second", [
        step(accepted, ended, check("session", now=END - 1), check(None, now=END)),
        step(accepted, answer(seq=1, after=1, iat=END), check(None, now=END), now=END),
    ]
    yield "the largest times", [
        step(accepted, answer([record(ALL, not_before=2**32 - 1, expires=2**32 - 1)]), check("all", iat=NOW + 10**8))
    ]
    yield "the largest integers", [
        step(accepted, answer([record(SESSION)], seq=2**53 - 1, epoch=2**53 - 1), check("session")),
        step(accepted, answer(seq=2**53 - 1, after=2**53 - 1, epoch=2**53 - 1), check("session")),
    ]
    yield "a record that is over when it comes", [step(accepted, answer([record(SESSION, expires=NOW)]), check(None))]

    # Answers that follow each other.
    yield "one after the other", [
        step(accepted, ended, check("session"), check(None, sid="beef")),
        step(
            accepted, answer([record(SESSION, "beef")], seq=2, after=1), check("session"), check("session", sid="beef")
        ),
    ]
    yield "nothing new", [step(accepted, ended), step(accepted, answer(seq=1, after=1, iat=NOW + 25), check("session"))]
    yield "an answer begins before what is known", [
        step(accepted, answer([record(SESSION)], seq=5)),
        step(
            accepted,
            answer([record(SESSION), record(JTI, "x")], seq=6, after=3),
            check("session"),
            check("jti", sid="x", jti="x"),
        ),
    ]
    yield "the same answer twice", [step(accepted, ended), step(accepted, ended, check("session"))]
    yield "records of the same thing: the later not_before and the later expires count", [
        step(accepted, answer([record(SUBJECT, not_before=NOW - 5, expires=END + 9)]), check(None, iat=NOW)),
        step(
            accepted,
            answer([record(SUBJECT, not_before=NOW, expires=END)], seq=2, after=1),
            check("subject", iat=NOW),
            check("subject", iat=NOW, now=END + 8),
            check(None, iat=NOW, now=END + 9),
        ),
        step(
            accepted,
            answer([record(SUBJECT, not_before=NOW - 9, expires=END + 20)], seq=3, after=2),
            check("subject", iat=NOW, now=END + 19),
        ),
    ]
    yield "records of the same thing in one answer", [
        step(
            accepted,
            answer([record(SUBJECT, not_before=NOW), record(SUBJECT, not_before=NOW - 9, expires=END + 9)], seq=2),
            check("subject", iat=NOW, now=END + 8),
            check(None, iat=NOW + 1),
        )
    ]
    yield "a snapshot takes nothing back", [step(accepted, ended), step(accepted, answer(seq=9), check("session"))]
    yield "a gap", [
        step(accepted, ended),
        step("refused:gap", answer([record(JTI)], seq=4, after=2), check("session"), check(None, sid="beef")),
        step(
            accepted,
            answer([record(SESSION), record(JTI, "x")], seq=4),
            check("session"),
            check("jti", sid="x", jti="x"),
        ),
    ]
    yield "the first answer is no snapshot", [
        step("refused:gap", answer([record(SESSION)], seq=2, after=1), check(None)),
        step(accepted, answer([record(SESSION)], seq=2), check("session")),
    ]
    yield "a roll-back", [
        step(accepted, answer([record(SESSION)], seq=5)),
        step("refused:rolled_back", answer([record(JTI, "x")], seq=4), check("session"), check(None, jti="x", sid="x")),
        step(accepted, answer(seq=5, after=5), check("session")),
    ]
    yield "a replay after its time", [
        step(accepted, ended),
        step("refused:expired", ended, check("session", now=NOW + 120), now=NOW + 120),
    ]

    # Epochs.
    second = {"epoch": EPOCH + 1, "salt": b64(SALT_2)}
    third = {"epoch": EPOCH + 2, "salt": b64(SALT_3)}
    in_second = record(JTI, "x", salt=SALT_2)
    yield "another epoch, and the records of the one before with their salt", [
        step(accepted, answer([record(SESSION)], seq=900)),
        step(accepted, answer([in_second], seq=1, **second), check("session"), check("jti", sid="x", jti="x")),
        step(accepted, answer([], seq=2, after=1, **second), check("session", now=END - 1), check(None, now=END)),
    ]
    yield "three epochs", [
        step(accepted, ended),
        step(accepted, answer([in_second], **second), check("session"), check("jti", sid="x", jti="x")),
        step(
            accepted,
            answer([record(SUBJECT, "y", salt=SALT_3)], **third),
            check("session"),
            check("jti", sid="x", jti="x"),
            check("subject", sid="x", sub="y"),
        ),
    ]
    yield "another epoch with the same salt", [
        step(accepted, ended),
        step(accepted, answer([record(JTI, "x")], epoch=EPOCH + 1), check("session"), check("jti", sid="x", jti="x")),
    ]
    yield "hashes of one salt say nothing with another", [
        step(accepted, ended),
        step(
            accepted, answer([record(SESSION, "beef", salt=SALT)], **second), check("session"), check(None, sid="beef")
        ),
    ]
    yield "another epoch has to begin with a snapshot", [
        step(accepted, answer([record(SESSION)], seq=5)),
        step(
            "refused:gap",
            answer([in_second], seq=5, after=4, **second),
            check("session"),
            check(None, sid="x", jti="x"),
        ),
        step(accepted, answer([in_second], seq=5, **second), check("session"), check("jti", sid="x", jti="x")),
    ]
    yield "an epoch that was given up", [
        step(accepted, ended),
        step(accepted, answer([], **second)),
        step("refused:older_epoch", answer([record(JTI, "x")], seq=2), check("session"), check(None, sid="x", jti="x")),
        step(accepted, answer([], after=1, **second), check("session")),
    ]
    yield "another salt in the same epoch", [
        step(accepted, ended),
        step(
            "refused:salt_changed", answer([in_second], seq=2, salt=b64(SALT_2)), check("session"), check(None, sid="x")
        ),
    ]

    # Keys, and what stands in the header.
    def refused(reason, name, text):
        return name, [step(f"refused:{reason}", text, check(None)), step(accepted, ended, check("session"))]

    records = [record(ALL)]
    yield refused("unknown_key", "a key of the access tokens", answer(records, by=TOKENS))
    yield refused(
        "signature",
        "a key of the access tokens under a name of the feed",
        answer(records, by={**TOKENS, "kid": FEED["kid"]}),
    )
    yield refused("unknown_key", "no key has this name", answer(records, header={"kid": "nobody"}))
    yield refused(
        "signature", "another key's name", answer(records, by=SIGNERS["feed next"], header={"kid": FEED["kid"]})
    )
    yield refused("type", "an access token", answer(records, header={"typ": "at+jwt"}))
    yield refused("type", "typ: JWT", answer(records, header={"typ": "JWT"}))
    yield refused(
        "malformed", "no kid", signed(compact(payload(records)), header='{"typ":"revocations+jwt","alg":"RS256"}')
    )
    yield refused(
        "type", "no typ", signed(compact(payload(records)), header=compact({"alg": "RS256", "kid": FEED["kid"]}))
    )
    yield refused("algorithm", "alg none", answer(records, header={"alg": "none"}))
    yield refused(
        "malformed", "alg none without a signature", answer(records, header={"alg": "none"}).rsplit(".", 1)[0] + "."
    )
    secret = {"kty": "oct", "alg": "HS256", "kid": FEED["kid"], "k": b64(pem(FEED))}
    yield refused("algorithm", "HS256 with the public key as its secret", answer(records, by=secret))
    yield refused("algorithm", "the algorithm of another key", answer(records, header={"alg": "ES256"}))
    yield refused("algorithm", "an algorithm that no key of a feed has", answer(records, header={"alg": "PS256"}))
    yield refused("malformed", "crit", answer(records, header={"crit": ["exp"], "exp": END}))
    yield refused("malformed", "b64", answer(records, header={"crit": ["b64"], "b64": True}))
    twice = f'{{"typ":"revocations+jwt","alg":"none","alg":"RS256","kid":"{FEED["kid"]}"}}'
    yield refused("malformed", "a member of the header stands twice", signed(compact(payload(records)), header=twice))
    good = answer(records)
    yield refused("signature", "one bit of the signature", good[:-10] + ("A" if good[-10] != "A" else "B") + good[-9:])
    other = answer([record(ALL, not_before=NOW + 9)]).split(".")[1]
    yield refused(
        "signature", "another payload under the signature", ".".join([good.split(".")[0], other, good.split(".")[2]])
    )
    yield refused("malformed", "two parts", good.rsplit(".", 1)[0])
    yield refused("malformed", "four parts", good + ".e30")
    yield refused("malformed", "padding in a part", good + "=")
    yield refused("malformed", "a line break at the end", good + "\n")
    yield refused("malformed", "no answer at all", "<!DOCTYPE html>")
    yield "a record of the kind kid refuses what that key of the feed signs", [
        step(accepted, answer([record(SESSION)], by=FEED_ES256)),
        step(accepted, answer([record(KID, FEED["kid"])], seq=2, after=1, by=FEED_ES256)),
        step("refused:key_revoked", answer([record(JTI)], seq=3, after=2), check("session"), check(None, sid="x")),
        step(accepted, answer([record(JTI, "x")], seq=3, after=2, by=FEED_ES256), check("jti", sid="x", jti="x")),
    ]
    yield "and does so also when it is of a former epoch", [
        step(accepted, answer([record(KID, FEED["kid"])], by=FEED_ES256)),
        step(accepted, answer([], by=FEED_ES256, **second)),
        step("refused:key_revoked", answer([], seq=2, after=1, **second)),
    ]

    # The payload.
    yield refused("issuer", "another issuer", answer(records, iss="https://other.example"))
    yield refused("issuer", "the issuer with a slash", answer(records, iss=ISSUER + "/"))
    yield refused("expired", "exp a minute ago", answer(records, exp=NOW - 60))
    yield "exp less than a minute ago", [step(accepted, answer(records, iat=NOW - 119), check("all"))]
    yield refused("future", "iat more than a minute ahead", answer(records, iat=NOW + 61))
    yield "iat a minute ahead", [step(accepted, answer(records, iat=NOW + 60), check("all"))]
    for name in ("iss", "iat", "exp", "epoch", "salt", "seq", "after", "records"):
        yield refused("malformed", f"no {name}", without(name))
    for name, value, what in (
        ("seq", -1, "a negative seq"),
        ("after", -1, "a negative after"),
        ("epoch", -1, "a negative epoch"),
        ("seq", 1.5, "a fraction as seq"),
        ("iat", NOW + 0.5, "a fraction as iat"),
        ("seq", 2**53, "seq is 2^53"),
        ("epoch", 2**53, "epoch is 2^53"),
        ("seq", "1", "a text as seq"),
        ("seq", True, "a truth value as seq"),
        ("after", None, "null as after"),
        ("after", 2, "after is beyond seq"),
        ("iss", [ISSUER], "a list as iss"),
        ("salt", b64(SALT[:15]), "a salt of 15 bytes"),
        ("salt", b64(SALT + b"x"), "a salt of 17 bytes"),
        ("salt", b64(SALT[:15] + b"\0"), "a salt with a zero byte"),
        ("salt", b64(SALT) + "==", "padding in salt"),
        ("salt", b64(SALT)[:-1] + "x", "stray bits in salt"),
        ("records", [], "a list as records"),
        ("records", b64(record(ALL)[:23]), "a record of 23 bytes"),
        ("records", b64(record(ALL) + b"\0"), "a byte behind the record"),
        ("records", b64(b"".join(records) + b"x" * 21 + b"==="), "a record, and three quarters of one"),
        ("records", b64(record(ALL, flags=1)), "flags are set"),
        ("records", b64(record(ALL, reserved=1)), "reserved is set"),
        ("records", b64(record(ALL, reserved=256)), "the upper byte of reserved is set"),
        ("records", b64(record(ALL)) + "====", "padding in records"),
        ("records", b64(b"\x01\0\0\0" + b"\xff" * 20).replace("_", "/"), "base64 instead of base64url"),
    ):
        yield refused("malformed", what, signed(compact({**payload(), name: value})))
    unknown = b"\x06" + record(ALL)[1:]
    yield refused("malformed", "a kind that nobody knows", answer([unknown]))
    yield "a kind that nobody knows, among others: nothing of the answer is taken", [
        step(accepted, ended),
        step(
            "refused:malformed",
            answer([record(JTI, "x"), unknown], seq=2, after=1),
            check("session"),
            check(None, sid="x", jti="x"),
        ),
        step(accepted, answer([record(JTI, "x")], seq=2, after=1), check("jti", sid="x", jti="x")),
    ]
    text = compact(payload(records))
    yield refused("malformed", "a member stands twice", signed(text.replace('"seq":1', '"seq":1,"seq":1')))
    yield refused(
        "malformed",
        "a member stands twice, once with an escape",
        signed(text.replace('"seq":1', '"seq":1,"\\u0073eq":1')),
    )
    yield refused(
        "malformed", "a member of a member stands twice", signed(text.replace("{", '{"more":{"a":1,"a":2},', 1))
    )
    colons = text.replace("{", '{"more":{"a:\\"":":,\\\\","b":["a:","a:"]},', 1)
    yield "colons, quotes and backslashes in members that nobody knows", [step(accepted, signed(colons), check("all"))]
    yield "blanks and line breaks", [step(accepted, signed(json.dumps(payload(records), indent=1)), check("all"))]
    yield refused("malformed", "a list", signed(f"[{text}]"))
    yield refused("malformed", "text behind the object", signed(text + "{}"))
    yield refused("malformed", "a byte order mark", signed("\ufeff" + text))
    yield refused("malformed", "no UTF-8", signed(text.replace("{", '{"more":"?",', 1).encode().replace(b"?", b"\xff")))
    yield refused("malformed", "NaN", signed(text.replace("{", '{"more":NaN,', 1)))
    yield refused(
        "malformed",
        "nested ten thousand deep",
        signed(text.replace("{", '{"more":' + "[" * 10_000 + "]" * 10_000 + ",", 1)),
    )


def pem(jwk):
    key = RSAAlgorithm.from_jwk(public(jwk))
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public(jwk):
    return {name: value for name, value in jwk.items() if name not in PRIVATE}


def main():
    made = [{"name": name, "steps": steps} for name, steps in vectors()]
    keys = {"keys": [public(FEED), public(FEED_ES256)]}
    head = {"issuer": ISSUER, "keys": keys, "signers": SIGNERS, "vectors": []}
    lines = [json.dumps(head, indent=1, ensure_ascii=False)[: -len("[]\n}")] + "["]
    lines.append(",\n".join(json.dumps(vector, indent=1, ensure_ascii=False) for vector in made))
    sys.stdout.write("\n".join([*lines, "]}"]) + "\n")


if __name__ == "__main__":
    main()
