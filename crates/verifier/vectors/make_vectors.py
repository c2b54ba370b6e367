"""Writes vectors.json anew, with the keys that are in it: `python3 make_vectors.py > new.json`.

Nothing but Python is needed, and nothing here is fit for keys that matter: it signs slowly, in variable time, and with
the same salts and nonces each time, so that the file does not change unless what it says does.
"""

import base64
import hashlib
import hmac
import json
import pathlib

FILE = pathlib.Path(__file__).with_name("vectors.json")
SIGNERS = json.loads(FILE.read_text())["signers"]
RSA, PSS, EC, ED, STRANGER, SHORT, CUBIC = SIGNERS.values()

ISSUER = "https://issuer.example"
AUDIENCE = "orders"
NOW = 1_800_000_000
LEEWAY = 30
ALL = ["RS256", "PS256", "ES256", "EdDSA"]
MAX_BYTES = 8192
MISSING = object()
CLAIMS = {
    "iss": ISSUER,
    "sub": "42",
    "aud": AUDIENCE,
    "exp": NOW + 600,
    "iat": NOW,
    "jti": "9b2fc3d3a4e04f5c",
    "client_id": "web",
    "scope": "orders:read orders:write",
}


# Encodings.


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def number(text):
    return int.from_bytes(unb64(text), "big")


def bytes_of(value, length=None):
    return value.to_bytes(length or (value.bit_length() + 7) // 8, "big")


def tlv(tag, *parts):
    body = b"".join(parts)
    size = bytes([len(body)]) if len(body) < 128 else bytes([0x80 | len(bytes_of(len(body)))]) + bytes_of(len(body))
    return bytes([tag]) + size + body


def integer(value):
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def pkcs1(jwk):
    return tlv(0x30, integer(number(jwk["n"])), integer(number(jwk["e"])))


def spki(jwk):
    algorithm = tlv(0x30, bytes.fromhex("06092a864886f70d010101"), b"\x05\x00")
    return tlv(0x30, algorithm, tlv(0x03, b"\x00", pkcs1(jwk)))


def pem(label, der):
    text = base64.b64encode(der).decode()
    lines = "".join(text[at : at + 64] + "\n" for at in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}-----END {label}-----\n".encode()


def public(jwk, **changes):
    jwk = {name: value for name, value in jwk.items() if name not in {"d", "p", "q", "dp", "dq", "qi"}}
    return changed({"use": "sig", **jwk}, changes)


def changed(members, changes):
    members = {**members, **changes}
    return {name: value for name, value in members.items() if value is not MISSING}


# RSA (RFC 8017).

SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
SHA384_INFO = bytes.fromhex("3041300d060960864801650304020205000430")
SHA512_INFO = bytes.fromhex("3051300d060960864801650304020305000440")
SHA256_INFO_WITHOUT_NULL = bytes.fromhex("302f300b0609608648016503040201" + "0420")


def raw_rsa(jwk, block):
    p, q, dp, dq, qi = (number(jwk[name]) for name in ("p", "q", "dp", "dq", "qi"))
    message = int.from_bytes(block, "big")
    of_p, of_q = pow(message, dp, p), pow(message, dq, q)
    return bytes_of(of_q + (qi * (of_p - of_q) % p) * q, len(unb64(jwk["n"])))


def pkcs1_block(message, size=256, info=SHA256_INFO, hash=hashlib.sha256):
    tail = b"\x00" + info + hash(message).digest()
    return b"\x00\x01" + b"\xff" * (size - 2 - len(tail)) + tail


def rs256(jwk, message):
    return raw_rsa(jwk, pkcs1_block(message, len(unb64(jwk["n"]))))


def mgf1(seed, length, hash=hashlib.sha256):
    blocks = (hash(seed + counter.to_bytes(4, "big")).digest() for counter in range(length // 20 + 1))
    return b"".join(blocks)[:length]


def xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right))


def pss_block(message, size=256, salt_length=32, hash=hashlib.sha256, trailer=b"\xbc"):
    salt = hashlib.sha512(b"salt" + message).digest()[:salt_length]
    digest = hash(b"\x00" * 8 + hash(message).digest() + salt).digest()
    db = b"\x01" + salt
    db = b"\x00" * (size - len(digest) - 1 - len(db)) + db
    masked = bytearray(xor(db, mgf1(digest, len(db), hash)))
    masked[0] &= 0x7F
    return bytes(masked) + digest + trailer


def ps256(jwk, message):
    return raw_rsa(jwk, pss_block(message))


# ECDSA on P-256 (FIPS 186-5), with the nonces of RFC 6979.

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def ec_add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def multiple(scalar, point, add, zero):
    result = zero
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def nonce(secret, digest):
    seed = bytes_of(secret, 32) + bytes_of(int.from_bytes(digest, "big") % N, 32)
    key, value = b"\x00" * 32, b"\x01" * 32
    for separator in (b"\x00", b"\x01"):
        key = hmac.digest(key, value + separator + seed, "sha256")
        value = hmac.digest(key, value, "sha256")
    # The first candidate is out of range with a probability of 2^-32.
    return int.from_bytes(hmac.digest(key, value, "sha256"), "big")


def ecdsa(jwk, message, hash=hashlib.sha256):
    secret, digest = number(jwk["d"]), hash(message).digest()[:32]
    k = nonce(secret, digest)
    r = multiple(k, G, ec_add, None)[0] % N
    return r, pow(k, -1, N) * (int.from_bytes(digest, "big") + r * secret) % N


def p1363(r, s, width=32):
    return bytes_of(r, width) + bytes_of(s, width)


def es256(jwk, message):
    return p1363(*ecdsa(jwk, message))


# Ed25519 (RFC 8032).

Q = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, Q) % Q
IDENTITY = (0, 1)


def ed_add(a, b):
    k = D * a[0] * b[0] * a[1] * b[1] % Q
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + k, -1, Q)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - k, -1, Q)
    return x % Q, y % Q


BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    4 * pow(5, -1, Q) % Q,
)


def encoded(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def sha512_number(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L


def ed_secret(jwk):
    digest = hashlib.sha512(unb64(jwk["d"])).digest()
    secret = int.from_bytes(digest[:32], "little")
    return (secret & (1 << 254) - 8 | 1 << 254) % (8 * L), digest[32:]


def eddsa(jwk, message, domain=b""):
    secret, prefix = ed_secret(jwk)
    r = sha512_number(domain, prefix, message)
    point = encoded(multiple(r, BASE, ed_add, IDENTITY))
    s = (r + sha512_number(domain, point, unb64(jwk["x"]), message) * secret) % L
    return point + s.to_bytes(32, "little")


def ed_forged_nonce(jwk, message, point):
    """The nonce 0: good if `point` spells the identity as verifiers spell it."""
    secret, _ = ed_secret(jwk)
    return point + (sha512_number(point, unb64(jwk["x"]), message) * secret % L).to_bytes(32, "little")


# Tokens.

SIGN = {"RS256": rs256, "PS256": ps256, "ES256": es256, "EdDSA": eddsa}


def token(claims=None, by=RSA, header=None, sign=None):
    """Signs `claims`, a text or bytes; `header` is changes to the usual one, or a text."""
    payload = CLAIMS if claims is None else claims
    payload = payload if isinstance(payload, (str, bytes)) else compact(payload)
    payload = payload.encode() if isinstance(payload, str) else payload
    return signed(f"{b64(header_text(by, header))}.{b64(payload)}", by, sign)


def header_text(by, header):
    if isinstance(header, bytes):
        return header
    if not isinstance(header, str):
        header = compact(changed({"typ": "at+jwt", "alg": by["alg"], "kid": by["kid"]}, header or {}))
    return header.encode()


def signed(signing_input, by=RSA, sign=None):
    return f"{signing_input}.{b64((sign or SIGN[by['alg']])(by, signing_input.encode()))}"


def altered(alter, by=RSA):
    """The usual token with another signature."""
    return token(by=by, sign=lambda jwk, message: alter(SIGN[by["alg"]](jwk, message), message))


def claim(**changes):
    return changed(CLAIMS, changes)


def hs256(secret):
    return lambda _jwk, message: hmac.digest(secret, message, "sha256")


def of_length(length):
    """A good token of so many bytes."""
    for pad_of_header in range(4):
        header = {"pad": "x" * pad_of_header}
        around = len(token({**CLAIMS, "pad": ""}, header=header, sign=lambda *_: b"\x00" * 256))
        for pad in range((length - around) * 3 // 4 - 4, (length - around) * 3 // 4 + 4):
            if len(token({**CLAIMS, "pad": "x" * pad}, header=header, sign=lambda *_: b"\x00" * 256)) == length:
                return token({**CLAIMS, "pad": "x" * pad}, header=header)
    raise AssertionError(length)


# Vectors: each with a group, a name, a reason or None, a token, and changes to the policy.


def algorithms():
    for by in (RSA, PSS, EC, ED):
        yield f"good, {by['alg']}", None, token(by=by), {"algorithms": [by["alg"]]}
        yield f"good, {by['alg']} among all", None, token(by=by), {"algorithms": ALL}
    renamed = token(by=ED, header={"alg": "Ed25519"})
    yield "good, EdDSA under its newer name (RFC 9864)", None, renamed, {"algorithms": ["EdDSA"]}
    for by in (PSS, EC, ED):
        yield f"{by['alg']}, which is not in the list", "alg_not_allowed", token(by=by)
    yield "RS256, which is not in the list", "alg_not_allowed", token(), {"algorithms": ["ES256"]}

    for alg in ("none", "None", "NONE", "nOnE"):
        yield f"alg {alg}, no signature", "malformed", token(header={"alg": alg}, sign=lambda *_: b"")
        yield f"alg {alg}, the signature of RS256", "alg_not_allowed", token(header={"alg": alg}, sign=rs256)
    without = token(header={"alg": "none"}, sign=lambda *_: b"")
    yield "alg none, no second dot", "malformed", without.rstrip(".")

    secrets = {
        "the public key as PEM": pem("PUBLIC KEY", spki(RSA)),
        "the public key as PEM without its last line break": pem("PUBLIC KEY", spki(RSA)).rstrip(),
        "the public key as PEM of PKCS #1": pem("RSA PUBLIC KEY", pkcs1(RSA)),
        "the public key as DER": spki(RSA),
        "the public key as DER of PKCS #1": pkcs1(RSA),
        "the public key as JWK": compact(public(RSA)).encode(),
        "the modulus": unb64(RSA["n"]),
        "the modulus in base64url": RSA["n"].encode(),
        "the kid": RSA["kid"].encode(),
        "nothing": b"",
    }
    for name, secret in secrets.items():
        yield f"HS256, the secret is {name}", "alg_not_allowed", token(header={"alg": "HS256"}, sign=hs256(secret))
    for name, by, secret in (("P-256", EC, b"\x04" + unb64(EC["x"]) + unb64(EC["y"])), ("Ed25519", ED, unb64(ED["x"]))):
        confused = token(by=by, header={"alg": "HS256"}, sign=hs256(secret))
        yield f"HS256, the secret is the public key of {name}", "alg_not_allowed", confused, {"algorithms": ALL}

    def with_hash(info, hash):
        return lambda jwk, message: raw_rsa(jwk, pkcs1_block(message, info=info, hash=hash))

    def pss_with(hash, salt_length):
        return lambda jwk, message: raw_rsa(jwk, pss_block(message, hash=hash, salt_length=salt_length))

    others = {
        "RS384": (RSA, with_hash(SHA384_INFO, hashlib.sha384)),
        "RS512": (RSA, with_hash(SHA512_INFO, hashlib.sha512)),
        "PS384": (PSS, pss_with(hashlib.sha384, 48)),
        "PS512": (PSS, pss_with(hashlib.sha512, 64)),
        "ES384": (EC, None),
        "ES256K": (EC, None),
        "Ed448": (ED, None),
    }
    for alg, (by, sign) in others.items():
        yield f"{alg}, well signed", "alg_not_allowed", token(by=by, header={"alg": alg}, sign=sign), {"algorithms": ALL}
    for alg in ("rs256", "Rs256", " RS256", "RS256 ", "RS256\u0000", "RS256,none", "R\u0405256", "ＲＳ２５６", ""):
        yield f"alg {json.dumps(alg)}", "alg_not_allowed", token(header={"alg": alg}, sign=rs256)
    for alg in (None, 256, True, ["RS256"], {"RS256": True}):
        yield f"alg {json.dumps(alg)}", "malformed", token(header={"alg": alg}, sign=rs256)
    yield "no alg", "malformed", token(header={"alg": MISSING})

    for named in (RSA, PSS, EC, ED):
        for by in (RSA, PSS, EC, ED):
            if by is not named:
                mixed = token(by=by, header={"kid": named["kid"]})
                name = f"{by['alg']}, well signed, under the kid of the key for {named['alg']}"
                yield name, "alg_not_allowed", mixed, {"algorithms": ALL}
    for by, alg, sign in ((RSA, "PS256", ps256), (PSS, "RS256", rs256)):
        padded = token(by=by, header={"alg": alg}, sign=sign)
        yield f"{alg} by the key for {by['alg']}", "alg_not_allowed", padded, {"algorithms": ALL}


def header_injection():
    theirs = public(STRANGER, kid=RSA["kid"])
    injected = {
        "jwk": theirs,
        "jku": "https://evil.example/jwks.json",
        "x5u": "https://evil.example/chain.pem",
        "x5c": [base64.b64encode(spki(STRANGER)).decode()],
        "jwk and jku": None,
    }
    for name, value in injected.items():
        header = {name: value} if value else {"jwk": theirs, "jku": injected["jku"]}
        forged = token(header={**header, "kid": RSA["kid"]}, by=STRANGER)
        yield f"{name} of a stranger's key", "signature_invalid", forged
        yield f"{name} of a stranger's key, no kid", "key_unknown", token(header={**header, "kid": MISSING}, by=STRANGER)
    with_x5t = token(header={"x5t": b64(hashlib.sha1(spki(STRANGER)).digest()), "kid": RSA["kid"]}, by=STRANGER)
    yield "x5t of a stranger's key", "signature_invalid", with_x5t
    yield "a stranger's signature", "signature_invalid", token(by=STRANGER, header={"kid": RSA["kid"]})
    yield "a stranger's kid", "key_unknown", token(by=STRANGER)

    kids = {
        "of a path": "../../../../dev/null",
        "of a URL": "https://evil.example/key",
        "with SQL": "rsa' UNION SELECT 'secret",
        "with a command": "rsa|/bin/true",
        "with NUL": "rsa\u0000",
        "with a line break": "rsa\n",
        "with a space": "rsa ",
        "in capitals": "RSA",
        "of a look-alike": "rѕa",
        "of 4,000 characters": "r" * 4000,
        "of a number in a string": "0",
        "of nothing": "",
        "of the thumbprint": b64(
            hashlib.sha256(compact({"e": RSA["e"], "kty": "RSA", "n": RSA["n"]}).encode()).digest()
        ),
    }
    for name, kid in kids.items():
        yield f"kid {name}", "key_unknown", token(header={"kid": kid})
    yield "no kid", "key_unknown", token(header={"kid": MISSING})
    for kid in (None, 0, True, ["rsa"], {"kid": "rsa"}):
        yield f"kid {json.dumps(kid)}", "malformed", token(header={"kid": kid})
    yield "a member that nobody knows, which is ignored", None, token(header={"x-color": {"red": [1, 2]}})


def critical():
    for crit in (["b64"], ["exp"], ["x-color"], ["alg"], [], "exp", None, 7):
        yield f"crit {json.dumps(crit)}", "crit_unsupported", token(header={"crit": crit, "x-color": "red"})
    for b64_member in (True, False, None):
        yield f"b64 {json.dumps(b64_member)}", "crit_unsupported", token(header={"b64": b64_member})
    both = compact({"typ": "at+jwt", "alg": "RS256", "kid": "rsa", "b64": False, "crit": ["b64"]})
    unencoded = signed(f"{b64(both.encode())}.{compact(CLAIMS)}".replace("https://issuer.example", "issuer"))
    yield "a payload that is not encoded (RFC 7797)", "crit_unsupported", unencoded
    yield "b64 and crit, encoded all the same", "crit_unsupported", token(header=both)


def types():
    for typ in ("at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/at+JWT"):
        yield f"typ {typ}", None, token(header={"typ": typ})
    for typ in (
        "JWT",
        "jwt",
        "id+jwt",
        "rt+jwt",
        "logout+jwt",
        "secevent+jwt",
        "revocations+jwt",
        "application/jwt",
        "application/",
        "application/application/at+jwt",
        "text/at+jwt",
        "at+jwt ",
        "at+jwt;charset=utf-8",
        "at jwt",
        "аt+jwt",
        "",
    ):
        yield f"typ {json.dumps(typ, ensure_ascii=False)}", "type_mismatch", token(header={"typ": typ})
    yield "no typ", "type_mismatch", token(header={"typ": MISSING})
    for typ in (None, 7, ["at+jwt"], {"at+jwt": True}):
        yield f"typ {json.dumps(typ)}", "malformed", token(header={"typ": typ})


def times():
    for leeway in (0, LEEWAY, 60):
        for name, value, reason in (
            ("exp", NOW - leeway + 1, None),
            ("exp", NOW - leeway, "expired"),
            ("nbf", NOW + leeway, None),
            ("nbf", NOW + leeway + 1, "not_yet_valid"),
            ("iat", NOW + leeway, None),
            ("iat", NOW + leeway + 1, "issued_in_future"),
        ):
            distance = f"now {'+' if value >= NOW else '-'} {abs(value - NOW)} s"
            text = token(claim(**{name: value}))
            yield f"{name} is {distance}, leeway {leeway} s", reason, text, {"leeway": leeway}
    yield "exp was reached long ago", "expired", token(claim(exp=1, iat=0))
    yield "exp 0", "expired", token(claim(exp=0))
    yield "a fraction of a second, which is good", None, token(claim(exp=NOW + 600.5, iat=NOW - 0.5, nbf=NOW - 0.25))
    yield "exp in the year 9999", None, token(claim(exp=253402300799))
    yield "written with an exponent", None, token(compact(CLAIMS).replace(f'"exp":{NOW + 600}', '"exp":18000006e2'))

    invalid = {
        "a string": str(NOW + 600),
        "the empty string": "",
        "a date": "2027-01-15T08:10:00Z",
        "true": True,
        "null": None,
        "a list": [NOW],
        "an object": {"seconds": NOW},
        "-1": -1,
        "-0.5": -0.5,
        "in the year 10000": 253402300800,
        "in milliseconds": (NOW + 600) * 1000,
        "2^53": 2**53,
        "2^63 - 1": 2**63 - 1,
        "2^63": 2**63,
        "2^64": 2**64,
        "-2^63": -(2**63),
        "1e300": 1e300,
    }
    for name in ("exp", "nbf", "iat"):
        for kind, value in invalid.items():
            yield f"{name} is {kind}", "claim_invalid", token(claim(**{name: value}))
        with_huge = compact(claim(**{name: 0})).replace(f'"{name}":0', f'"{name}":1e400')
        yield f"{name} is 1e400", "malformed", token(with_huge)
        for spelling in ("NaN", "Infinity", "0x7fffffff", "+1", "01", "1."):
            text = compact(claim(**{name: 0})).replace(f'"{name}":0', f'"{name}":{spelling}')
            yield f"{name} is {spelling}", "malformed", token(text)
    for name in ("exp", "iat"):
        yield f"no {name}", "claim_missing", token(claim(**{name: MISSING}))


def parties():
    for aud in ([AUDIENCE], ["billing", AUDIENCE], [AUDIENCE, AUDIENCE]):
        yield f"aud {json.dumps(aud)}", None, token(claim(aud=aud))
    for aud in ("billing", ["billing"], "ORDERS", "orders ", "orders/", "order", "orders,billing", "orders billing", "*", "оrders"):
        yield f"aud {json.dumps(aud, ensure_ascii=False)}", "audience_mismatch", token(claim(aud=aud))
    for aud in ([], "", [""], None, 7, True, {}, {AUDIENCE: AUDIENCE}, [AUDIENCE, 7], [[AUDIENCE]], [None]):
        yield f"aud {json.dumps(aud)}", "claim_invalid", token(claim(aud=aud))
    yield "no aud", "claim_missing", token(claim(aud=MISSING))

    for iss in (
        ISSUER + "/",
        "https://ISSUER.example",
        "http://issuer.example",
        "https://issuer.example:443",
        "https://issuer.example.evil.example",
        "https://issuer.example\u0000",
        " " + ISSUER,
        "https://іssuer.example",
        "evil",
    ):
        yield f"iss {json.dumps(iss, ensure_ascii=False)}", "issuer_mismatch", token(claim(iss=iss))
    for iss in ([ISSUER], [ISSUER, "https://evil.example"], 7, None, True, {}, ""):
        yield f"iss {json.dumps(iss)}", "claim_invalid", token(claim(iss=iss))
    yield "no iss", "claim_missing", token(claim(iss=MISSING))
    yield "neither iss nor aud", "claim_missing", token(claim(iss=MISSING, aud=MISSING))

    for name in ("sub", "client_id", "jti"):
        yield f"no {name}", "claim_missing", token(claim(**{name: MISSING}))
        for value in ("", 7, None, ["42"], {}):
            yield f"{name} {json.dumps(value)}", "claim_invalid", token(claim(**{name: value}))
    yield "sid", None, token(claim(sid="5f1d"))
    for value in ("", 7, None):
        yield f"sid {json.dumps(value)}", "claim_invalid", token(claim(sid=value))
    for value in (MISSING, "", "orders:read", "orders:read  orders:write ", ["orders:read"], []):
        name = "no scope" if value is MISSING else f"scope {json.dumps(value)}"
        yield name, None, token(claim(scope=value))
    for value in (7, None, True, {"orders:read": True}, ["orders:read", 7], [[]], [""]):
        yield f"scope {json.dumps(value)}", "claim_invalid", token(claim(scope=value))


def duplicates():
    header = header_text(RSA, None).decode()
    for member in ('"alg":"RS256"', '"alg":"none"', '"\\u0061lg":"RS256"', '"typ":"at+jwt"', '"kid":"rsa"', '"x":1,"x":2'):
        yield f"header, {member} more than once", "malformed", token(header=header.replace("{", "{" + member + ",", 1))
    yield "header, nested", "malformed", token(header=header.replace("{", '{"x":{"a":1,"a":2},', 1))
    payload = compact(CLAIMS)
    for member in (
        f'"iss":"{ISSUER}"',
        '"iss":"https://evil.example"',
        '"exp":9999999999',
        '"sub":"1"',
        '"\\u0073ub":"1"',
        '"a\\u0075d":"billing"',
        '"x":1,"x":1',
        '"x":{"a":1,"a":2}',
        '"x":[{"a":1},{"a":1,"\\u0061":2}]',
        '"":1,"":2',
    ):
        yield f"payload, {member} more than once", "malformed", token(payload.replace("{", "{" + member + ",", 1))
    yield "payload, at the end", "malformed", token(payload[:-1] + ',"sub":"1"}')
    escaped = payload.replace('"sub"', '"\\u0073ub"')
    yield "an escaped name, which is good", None, token(escaped)
    apart = payload.replace("{", '{"a":{"x":1},"b":{"x":1},"X":1,"x":1,', 1)
    yield "one name at several places, which is good", None, token(apart)


def spellings(part):
    start, last = part[:-1], part[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # Where a part does not end with a whole byte, its last character has bits that mean nothing.
    stray = alphabet[alphabet.index(last) + 1]
    return {
        "one =": part + "=",
        "two =": part + "==",
        "an encoded =": part + "%3D",
        "bits that mean nothing": start + stray,
        "a line break at its end": part + "\n",
        "a line break in it": part[:8] + "\r\n" + part[8:],
        "a space before it": " " + part,
        "a space in it": part[:8] + " " + part[8:],
        "a tab at its end": part + "\t",
        "NUL at its end": part + "\u0000",
        "+": start + "+",
        "/": start + "/",
        "a question mark": start + "?",
        "a character beyond ASCII": start + "é",
        "a full-width character": start + "Ａ",
        "one character less than a byte": part + "A" * (-(len(part) - 1) % 4),
    }


def base64_spellings():
    # Both end within a byte.
    header = b64(header_text(RSA, {"pad": "xxx"[: -(len(header_text(RSA, {"pad": ""})) - 1) % 3]}))
    payload = b64((compact(CLAIMS) + " " * (-(len(compact(CLAIMS)) - 1) % 3)).encode())
    yield "as it should be", None, signed(f"{header}.{payload}")
    signature = signed(f"{header}.{payload}").split(".")[2]
    for name, spelling in spellings(header).items():
        yield f"header, {name}", "malformed", signed(f"{spelling}.{payload}")
    for name, spelling in spellings(payload).items():
        yield f"payload, {name}", "malformed", signed(f"{header}.{spelling}")
    for name, spelling in spellings(signature).items():
        yield f"signature, {name}", "malformed", f"{header}.{payload}.{spelling}"
    plain = base64.b64encode(compact(claim(x="???>>>")).encode()).decode().rstrip("=")
    assert "/" in plain or "+" in plain
    yield "payload in the other alphabet", "malformed", signed(f"{header}.{plain}")


def forms():
    good = token()
    header, payload, signature = good.split(".")
    for name, text in {
        "nothing": "",
        "one dot": ".",
        "two dots": "..",
        "no dot": header,
        "one part less": f"{header}.{payload}",
        "no header": f".{payload}.{signature}",
        "no payload": f"{header}..{signature}",
        "no signature": f"{header}.{payload}.",
        "a dot at the end": good + ".",
        "a dot at the beginning": "." + good,
        "two dots in a row": f"{header}..{payload}.{signature}",
        "four parts": f"{good}.{signature}",
        "five parts, as a JWE": f"{good}.{signature}.{signature}",
        "8,000 dots": "." * 8000,
        "the scheme before it": "Bearer " + good,
        "a space before it": " " + good,
        "a line break after it": good + "\n",
        "a BOM before it": "\ufeff" + good,
        "NUL after it": good + "\u0000",
        "in quotes": f'"{good}"',
        "twice": f"{good},{good}",
        "full stops that are none": f"{header}．{payload}．{signature}",
        "JSON, flattened": compact({"protected": header, "payload": payload, "signature": signature}),
        "JSON, general": compact({"payload": payload, "signatures": [{"protected": header, "signature": signature}]}),
    }.items():
        yield name, "malformed", text

    usual, claims = header_text(RSA, None), compact(CLAIMS).encode()
    headers = {
        "a list": b'["alg"]',
        "a string": b'"alg"',
        "null": b"null",
        "the values alone": b'["RS256","at+jwt","rsa"]',
        "text after it": usual + b"{}",
        "a BOM before it": b"\xef\xbb\xbf" + usual,
        "NUL after it": usual + b"\x00",
        "not UTF-8": usual.replace(b"rsa", b"\xffrsa"),
        "an overlong character": usual.replace(b"rsa", b"\xc1\xb2sa"),
        "a lone surrogate": usual.replace(b"rsa", b"\\ud800rsa"),
        "a comma too many": usual.replace(b"}", b",}"),
        "a comment": usual.replace(b"{", b"{/* */"),
        "cut off": usual[:-1],
        "single quotes": usual.replace(b'"', b"'"),
        "UTF-16": usual.decode().encode("utf-16-be"),
        "a raw control character": usual.replace(b"rsa", b"r\nsa"),
    }
    for name, text in headers.items():
        yield f"header: {name}", "malformed", token(header=text)
    yield "header: white space around and in it, which is good", None, token(header=b" \n" + usual.replace(b":", b" : ") + b"\t")
    payloads = {
        "a list": b"[" + claims + b"]",
        "a string": compact(claims.decode()).encode(),
        "a number": b"7",
        "null": b"null",
        "the empty object twice": b"{}{}",
        "text after it": claims + b"x",
        "a BOM before it": b"\xef\xbb\xbf" + claims,
        "NUL after it": claims + b"\x00",
        "not UTF-8": claims.replace(b'"42"', b'"4\xff2"'),
        "an overlong character": claims.replace(b'"42"', b'"\xc0\xb4\x32"'),
        "an encoded surrogate": claims.replace(b'"42"', b'"\xed\xa0\x80"'),
        "a lone surrogate": claims.replace(b'"42"', b'"\\ud800"'),
        "a comma too many": claims.replace(b"}", b",}"),
        "a comment": claims.replace(b"{", b"{/* */"),
        "cut off": claims[:-1],
        "single quotes": claims.replace(b'"', b"'"),
        "UTF-16": claims.decode().encode("utf-16-be"),
        "a raw control character": claims.replace(b'"42"', b'"4\n2"'),
        "another token": good.encode(),
        "another token in quotes": compact(good).encode(),
        "compressed, by its first bytes": b"\x78\x9c" + claims,
    }
    for name, text in payloads.items():
        yield f"payload: {name}", "malformed", token(text)
    yield "payload: white space around it, which is good", None, token(b" \r\n" + claims + b"\n")
    yield "payload: the empty object", "claim_missing", token(b"{}")
    yield "payload: another token, and cty says so", "malformed", token(good, header={"cty": "JWT"})
    extra = claim(**{"nested": {"token": good}, "naïve": "zoë 🦀", "null": None})
    yield "payload: other claims, which are ignored", None, token(extra)
    for name in ("$serde_json::private::RawValue", "$serde_json::private::Number", "__proto__", "constructor"):
        reason = "malformed" if name.startswith("$") else None
        yield f"payload: a claim with the name {name}", reason, token(claim(**{name: "1"}))


def sizes():
    yield "8,192 bytes", None, of_length(MAX_BYTES)
    yield "8,193 bytes", "too_large", of_length(MAX_BYTES + 1)
    yield "10,000 letters", "too_large", "a" * 10_000

    def nested(depth, opening="[", closing="]"):
        # The object around it is the first level.
        text = opening * (depth - 1) + "1" + closing * (depth - 1)
        return compact(claim(x=0)).replace('"x":0', f'"x":{text}')

    for opening, closing, name in (("[", "]", "lists"), ('{"a":', "}", "objects")):
        yield f"127 levels of {name}", None, token(nested(127, opening, closing))
        yield f"128 levels of {name}", "malformed", token(nested(128, opening, closing))
    yield "2,500 levels", "malformed", token(nested(2500))
    yield "10,000 levels", "too_large", token(nested(10_000))
    deep = compact({"typ": "at+jwt", "alg": "RS256", "kid": "rsa", "x": 0}).replace('"x":0', '"x":' + "[" * 2500 + "]" * 2500)
    yield "2,500 levels in the header", "malformed", token(header=deep)
    yield "2,500 opening brackets", "malformed", token("{\"x\":" + "[" * 2500)
    digits = compact(claim(x=0)).replace('"x":0', '"x":' + "9" * 3000)
    yield "a number of 3,000 digits", "malformed", token(digits)
    decimals = compact(claim(x=0)).replace('"x":0', '"x":0.' + "1" * 3000)
    yield "a fraction of 3,000 digits, which is good", None, token(decimals)
    members = {f"x{index}": index for index in range(300)}
    yield "300 claims more, which is good", None, token(claim(**members))


def rsa_forgeries():
    n = number(RSA["n"])

    def wrong(block):
        return token(sign=lambda jwk, message: raw_rsa(jwk, block(message)))

    for name, alter in {
        "one bit changed": lambda s, m: bytes([s[0] ^ 1]) + s[1:],
        "the last bit changed": lambda s, m: s[:-1] + bytes([s[-1] ^ 1]),
        "one byte less": lambda s, m: s[:-1],
        "its first byte is missing": lambda s, m: s[1:],
        "one byte more": lambda s, m: s + b"\x00",
        "zero before it": lambda s, m: b"\x00" + s,
        "one byte alone": lambda s, m: b"\x01",
        "all zero": lambda s, m: b"\x00" * 256,
        "the number 1": lambda s, m: bytes_of(1, 256),
        "the modulus": lambda s, m: bytes_of(n, 256),
        "the modulus less 1": lambda s, m: bytes_of(n - 1, 256),
        "all ones": lambda s, m: b"\xff" * 256,
        "negated": lambda s, m: bytes_of(n - int.from_bytes(s, "big"), 256),
        "the modulus added to it, one byte longer": lambda s, m: bytes_of(n + int.from_bytes(s, "big"), 257),
        "the padded hash itself": lambda s, m: pkcs1_block(m),
        "the hash itself": lambda s, m: hashlib.sha256(m).digest(),
        "in the other byte order": lambda s, m: s[::-1],
    }.items():
        yield f"RS256, the signature: {name}", "signature_invalid", altered(alter)

    def digest(message):
        return hashlib.sha256(message).digest()

    def filled(head, tail):
        return head + b"\xff" * (256 - len(head) - len(tail)) + tail

    blocks = {
        "garbage after the hash (as with the exponent 3)": lambda m: b"\x00\x01" + b"\xff" * 8 + b"\x00" + SHA256_INFO + digest(m) + b"\xaa" * 194,
        "garbage in the DigestInfo": lambda m: filled(b"\x00\x01", b"\x00" + tlv(0x30, tlv(0x30, bytes.fromhex("0609608648016503040201"), tlv(0x05, b"\xaa" * 8)), tlv(0x04, digest(m)))),
        "short padding, zeros in front": lambda m: b"\x00" * 100 + pkcs1_block(m, 156),
        "no padding": lambda m: b"\x00\x01\x00" + SHA256_INFO + digest(m) + b"\x00" * 202,
        "block type 0": lambda m: b"\x00\x00" + pkcs1_block(m)[2:],
        "block type 2": lambda m: b"\x00\x02" + pkcs1_block(m)[2:],
        "a byte of the padding changed": lambda m: pkcs1_block(m)[:9] + b"\xfe" + pkcs1_block(m)[10:],
        "a zero in the padding": lambda m: pkcs1_block(m)[:9] + b"\x00" + pkcs1_block(m)[10:],
        "no zero after the padding": lambda m: filled(b"\x00\x01", SHA256_INFO + digest(m)),
        "no DigestInfo": lambda m: filled(b"\x00\x01", b"\x00" + digest(m)),
        "no NULL in the DigestInfo": lambda m: filled(b"\x00\x01", b"\x00" + SHA256_INFO_WITHOUT_NULL + digest(m)),
        "a length in long form": lambda m: filled(b"\x00\x01", b"\x00\x30\x81" + SHA256_INFO[1:] + digest(m)),
        "the DigestInfo of SHA-512 before a hash of SHA-256": lambda m: filled(b"\x00\x01", b"\x00" + SHA512_INFO + digest(m)),
        "SHA-1": lambda m: pkcs1_block(m, info=bytes.fromhex("3021300906052b0e03021a05000414"), hash=hashlib.sha1),
        "SHA-384": lambda m: pkcs1_block(m, info=SHA384_INFO, hash=hashlib.sha384),
        "SHA-512": lambda m: pkcs1_block(m, info=SHA512_INFO, hash=hashlib.sha512),
        "a hash of the hash": lambda m: pkcs1_block(digest(m)),
        "a hash of something else": lambda m: pkcs1_block(b"something else"),
        "PSS": pss_block,
    }
    for name, block in blocks.items():
        yield f"RS256, the padding: {name}", "signature_invalid", wrong(block)

    def wrong_pss(block):
        return token(by=PSS, sign=lambda jwk, message: raw_rsa(jwk, block(message)))

    of_pss = {
        "PKCS #1 v1.5": pkcs1_block,
        "no salt": lambda m: pss_block(m, salt_length=0),
        "a salt of 20 bytes": lambda m: pss_block(m, salt_length=20),
        "a salt of 33 bytes": lambda m: pss_block(m, salt_length=33),
        "the longest salt": lambda m: pss_block(m, salt_length=64),
        "SHA-1": lambda m: pss_block(m, hash=hashlib.sha1, salt_length=20),
        "SHA-512": lambda m: pss_block(m, hash=hashlib.sha512, salt_length=32),
        "another trailer": lambda m: pss_block(m, trailer=b"\xcc"),
        "a byte of the padding changed": lambda m: bytes([pss_block(m)[0] ^ 1]) + pss_block(m)[1:],
        "the salt changed": lambda m: pss_block(m)[:200] + bytes([pss_block(m)[200] ^ 1]) + pss_block(m)[201:],
    }
    for name, block in of_pss.items():
        yield f"PS256, the padding: {name}", "signature_invalid", wrong_pss(block), {"algorithms": ["PS256"]}
    for name, alter in {
        "one byte less": lambda s, m: s[:-1],
        "one byte more": lambda s, m: s + b"\x00",
        "all zero": lambda s, m: b"\x00" * 256,
        "the modulus": lambda s, m: unb64(PSS["n"]),
        "of another message": lambda s, m: ps256(PSS, b"something else"),
    }.items():
        yield f"PS256, the signature: {name}", "signature_invalid", altered(alter, PSS), {"algorithms": ["PS256"]}


def ecdsa_forgeries():
    only = {"algorithms": ["ES256"]}
    r, s = ecdsa(EC, token(by=EC).rpartition(".")[0].encode())
    high = altered(lambda _s, _m: p1363(r, N - s), EC)
    yield "ES256, s negated: RFC 7518 has no low s, so both are good", None, high, only

    der = tlv(0x30, integer(r), integer(s))
    forged = {
        "r = 0": p1363(0, s),
        "s = 0": p1363(r, 0),
        "r = s = 0": p1363(0, 0),
        "r = 1, s = 0": p1363(1, 0),
        "r = s = 1": p1363(1, 1),
        "r = n": p1363(N, s),
        "s = n": p1363(r, N),
        "r = s = n": p1363(N, N),
        "r = n + 1": p1363(N + 1, s),
        "s = n + 1": p1363(r, N + 1),
        "r = n - 1": p1363(N - 1, s),
        "r = p": p1363(P, s),
        "r = 2^256 - 1": p1363(2**256 - 1, s),
        "r negated": p1363(N - r, s),
        "r and s exchanged": p1363(s, r),
        "all ones": b"\xff" * 64,
        "DER": der,
        "DER, 64 bytes of it": der[:64],
        "the first 63 bytes": p1363(r, s)[:63],
        "r alone": bytes_of(r, 32),
        "one byte": b"\x01",
        "zero after it": p1363(r, s) + b"\x00",
        "zero before it": b"\x00" + p1363(r, s),
        "each number with zero before it": p1363(r, s, 33),
        "as long as for ES384": p1363(r, s, 48),
        "as long as for ES512": p1363(r, s, 66),
        "twice": p1363(r, s) * 2,
        "little-endian": p1363(r, s)[:32][::-1] + p1363(r, s)[32:][::-1],
        "of another message": es256(EC, b"something else"),
        "of Ed25519": eddsa(ED, token(by=EC).rpartition(".")[0].encode()),
    }
    for name, signature in forged.items():
        yield f"ES256, {name}", "signature_invalid", altered(lambda _s, _m: signature, EC), only
    for name, hash in (("SHA-1", hashlib.sha1), ("SHA-384", hashlib.sha384), ("SHA-512", hashlib.sha512)):
        hashed = token(by=EC, sign=lambda jwk, message: p1363(*ecdsa(jwk, message, hash)))
        yield f"ES256, over {name}", "signature_invalid", hashed, only


def eddsa_forgeries():
    only = {"algorithms": ["EdDSA"]}

    def with_s(change):
        def alter(signature, _message):
            s = change(int.from_bytes(signature[32:], "little"))
            return signature[:32] + s.to_bytes(32, "little")

        return altered(alter, ED)

    for name, change in {
        "L added to S": lambda s: s + L,
        "2 L added to S": lambda s: s + 2 * L,
        "S negated": lambda s: L - s,
        "S = 0": lambda s: 0,
        "S = L": lambda s: L,
        "the highest bit of S": lambda s: s | 1 << 255,
    }.items():
        yield f"EdDSA, {name}", "signature_invalid", with_s(change), only
    for name, alter in {
        "63 bytes": lambda s, m: s[:63],
        "65 bytes": lambda s, m: s + b"\x00",
        "one byte": lambda s, m: b"\x01",
        "R alone": lambda s, m: s[:32],
        "twice": lambda s, m: s * 2,
        "as long as for Ed448": lambda s, m: s + b"\x00" * 50,
        "all zero": lambda s, m: b"\x00" * 64,
        "the sign of R changed": lambda s, m: s[:31] + bytes([s[31] ^ 0x80]) + s[32:],
        "R is the identity, S = 0": lambda s, m: encoded(IDENTITY) + b"\x00" * 32,
        "R is a point of order 2, S = 0": lambda s, m: encoded((0, Q - 1)) + b"\x00" * 32,
        "R is no point": lambda s, m: b"\x02" + b"\x00" * 31 + s[32:],
        "R is the identity, not reduced": lambda s, m: ed_forged_nonce(ED, m, (Q + 1).to_bytes(32, "little")),
        "R is the identity with a sign": lambda s, m: ed_forged_nonce(ED, m, (1 | 1 << 255).to_bytes(32, "little")),
        "R and S exchanged": lambda s, m: s[32:] + s[:32],
        "of another message": lambda s, m: eddsa(ED, b"something else"),
        "Ed25519ph": lambda s, m: eddsa(ED, hashlib.sha512(m).digest(), b"SigEd25519 no Ed25519 collisions\x01\x00"),
        "Ed25519ctx": lambda s, m: eddsa(ED, m, b"SigEd25519 no Ed25519 collisions\x00\x03foo"),
        "of ES256": lambda s, m: es256(EC, m),
    }.items():
        yield f"EdDSA, {name}", "signature_invalid", altered(alter, ED), only


def keys():
    """What an issuer may have published, beside its good keys."""

    def published(*others, algorithms=ALL):
        return {"algorithms": algorithms, "keys": {"keys": [public(RSA), public(EC), *others]}}

    def refused(name, by, key, sign=None):
        kid = key.get("kid") if isinstance(key.get("kid"), str) else by["kid"]
        return f"a key {name}", "key_unknown", token(by=by, header={"kid": kid}, sign=sign), published(key)

    yield "a key without use and alg", None, token(by=STRANGER), published(public(STRANGER, use=MISSING, alg=MISSING))
    yield "a key with key_ops verify", None, token(by=STRANGER), published(public(STRANGER, key_ops=["verify"]))
    yield "a key with a certificate, which is ignored", None, token(by=STRANGER), published(public(STRANGER, x5c=["x"]))
    yield "an RSA key without alg is not for PS256", "alg_not_allowed", token(by=PSS), published(public(PSS, alg=MISSING))
    yield "an RSA key that says PS256 is not for RS256", "alg_not_allowed", token(
        by=PSS, header={"alg": "RS256"}, sign=rs256
    ), published(public(PSS))
    yield refused("for encryption", STRANGER, public(STRANGER, use="enc"))
    yield refused("that says RSA-OAEP", STRANGER, public(STRANGER, alg="RSA-OAEP"))
    yield refused("that says RS384", STRANGER, public(STRANGER, alg="RS384"))
    yield refused("that says ES256 and is RSA", STRANGER, public(STRANGER, alg="ES256"))
    yield refused("with key_ops sign", STRANGER, public(STRANGER, key_ops=["sign"]))
    yield refused("with key_ops verify twice", STRANGER, public(STRANGER, key_ops=["verify", "verify"]))
    yield refused("without kid", STRANGER, public(STRANGER, kid=MISSING))
    yield refused("with a number for kid", STRANGER, public(STRANGER, kid=7))
    yield refused("with its private half", STRANGER, STRANGER)
    yield refused("with d alone", STRANGER, public(STRANGER, d=STRANGER["d"]))
    yield refused("of 1,024 bits", SHORT, public(SHORT))
    yield refused("with the exponent 3", CUBIC, public(CUBIC))
    yield refused("with the exponent 1", STRANGER, public(STRANGER, e="AQ"), lambda _jwk, m: pkcs1_block(m))
    yield refused("with an even modulus", STRANGER, public(STRANGER, n=b64(bytes_of(number(STRANGER["n"]) - 1))))
    yield refused("with zero before its modulus", STRANGER, public(STRANGER, n=b64(b"\x00" + unb64(STRANGER["n"]))))
    yield refused("with padding in its modulus", STRANGER, public(STRANGER, n=STRANGER["n"] + "=="))
    yield refused("without a modulus", STRANGER, public(STRANGER, n=MISSING))
    yield refused("with its kty in small letters", STRANGER, public(STRANGER, kty="rsa"))
    yield refused("without kty", STRANGER, public(STRANGER, kty=MISSING))

    secret = b"a secret of thirty-two bytes ..."
    oct = {"kty": "oct", "kid": "oct", "alg": "HS256", "k": b64(secret)}
    yield "a symmetric key", "alg_not_allowed", token(by=oct, sign=hs256(secret)), published(oct)
    yield "a symmetric key under RS256", "key_unknown", token(by=oct, header={"alg": "RS256"}, sign=hs256(secret)), published(oct)
    twin = public(STRANGER, kid="twin")
    yield "two keys of one kid", "key_unknown", token(by=STRANGER, header={"kid": "twin"}), published(twin, public(EC, kid="twin"))
    yield "one key twice", "key_unknown", token(by=STRANGER, header={"kid": "twin"}), published(twin, twin)

    ec = public(EC, kid="other")
    yield refused("off the curve", EC, {**ec, "y": b64(bytes_of(number(EC["y"]) ^ 1, 32))})
    yield refused("of the point (0, 0)", EC, {**ec, "x": b64(b"\x00" * 32), "y": b64(b"\x00" * 32)})
    yield refused("whose coordinates are exchanged", EC, {**ec, "x": EC["y"], "y": EC["x"]})
    yield refused("whose x is one byte shorter", EC, {**ec, "x": b64(unb64(EC["x"])[1:])})
    yield refused("whose x is one byte longer", EC, {**ec, "x": b64(b"\x00" + unb64(EC["x"]))})
    yield refused("without y", EC, changed(ec, {"y": MISSING}))
    yield refused("that says P-384", EC, {**ec, "crv": "P-384"})
    yield refused("that says secp256k1", EC, {**ec, "crv": "secp256k1"})
    yield refused("that says P-256 and ES384", EC, {**ec, "alg": "ES384"})
    yield refused("without crv", EC, changed(ec, {"crv": MISSING}))

    ed = public(ED)
    yield "an Ed25519 key without use and alg", None, token(by=ED), published(public(ED, use=MISSING, alg=MISSING))
    yield "an Ed25519 key that says Ed25519 (RFC 9864)", None, token(by=ED), published(public(ED, alg="Ed25519"))
    yield refused("that says X25519", ED, {**ed, "crv": "X25519"})
    yield refused("that says Ed448", ED, {**ed, "crv": "Ed448"})
    yield refused("that says EC and Ed25519", ED, {**ed, "kty": "EC"})
    yield refused("of Ed25519 with 31 bytes", ED, {**ed, "x": b64(unb64(ED["x"])[:31])})
    yield refused("of Ed25519 with 33 bytes", ED, {**ed, "x": b64(unb64(ED["x"]) + b"\x00")})
    yield refused("of Ed25519 with its private half", ED, ED)
    # S = 1 and R = B: good for the identity as a key, whatever the message is.
    anybodys = encoded(BASE) + (1).to_bytes(32, "little")
    identities = {"the identity": encoded(IDENTITY), "an identity that is not reduced": (Q + 1).to_bytes(32, "little")}
    for name, x in identities.items():
        yield refused(f"of Ed25519 that is {name}", ED, {**ed, "x": b64(x)}, lambda *_: anybodys)
    yield refused("of Ed25519 that is of order 2", ED, {**ed, "x": b64(encoded((0, Q - 1)))}, lambda *_: anybodys)
    yield refused("of Ed25519 that is of order 4", ED, {**ed, "x": b64(b"\x00" * 32)}, lambda *_: anybodys)


GROUPS = {
    "algorithms": algorithms,
    "header injection": header_injection,
    "crit and b64": critical,
    "typ": types,
    "times": times,
    "claims": parties,
    "duplicate members": duplicates,
    "base64url": base64_spellings,
    "forms": forms,
    "sizes and nesting": sizes,
    "RSA forgeries": rsa_forgeries,
    "ECDSA forgeries": ecdsa_forgeries,
    "EdDSA forgeries": eddsa_forgeries,
    "keys": keys,
}


def vector(group, name, reason, text, policy=None):
    verdict = {"verdict": "refused", "reason": reason} if reason else {"verdict": "accepted"}
    return {"group": group, "name": name, **verdict, **({"policy": policy} if policy else {}), "token": text}


def rows(values):
    return ",\n  ".join(json.dumps(value, ensure_ascii=False) for value in values)


policy = {
    "issuer": ISSUER,
    "audience": AUDIENCE,
    "type": "at+jwt",
    "algorithms": ["RS256"],
    "leeway": LEEWAY,
    "now": NOW,
    "keys": {"keys": [public(key) for key in (RSA, PSS, EC, ED)]},
}
vectors = [vector(group, *made) for group, make in GROUPS.items() for made in make()]
signers = ",\n  ".join(f"{json.dumps(name)}: {json.dumps(key)}" for name, key in SIGNERS.items())
text = f'{{\n "policy": {json.dumps(policy)},\n "signers": {{\n  {signers}\n }},\n "vectors": [\n  {rows(vectors)}\n ]\n}}\n'
# On any machine the same bytes.
open(1, "wb").write(text.encode())
