"""Checks the access token on standard input as a Python service would, with PyJWT and its JWK Set client.

The environment says ISSUER and AUDIENCE, and JWKS_URL if the key set is not at its usual place.
Exit code 0: accepted, the claims are printed. 1: refused, the reason is on standard error. 2: no verdict.
"""

import json
import os
import sys

import jwt

ACCEPTED, REFUSED, NO_VERDICT = 0, 1, 2


def main() -> int:
    try:
        issuer = os.environ["ISSUER"]
        audience = os.environ["AUDIENCE"]
        keys = jwt.PyJWKClient(os.environ.get("JWKS_URL", f"{issuer}/.well-known/jwks.json"))
        # Without keys there is no verdict. The client keeps the set, so this is the only fetch.
        keys.get_signing_keys()
        return judge(sys.stdin.read().strip(), keys, issuer, audience)
    except Exception as error:
        return say(error, NO_VERDICT)


def judge(token: str, keys: jwt.PyJWKClient, issuer: str, audience: str) -> int:
    try:
        claims = jwt.decode(
            token,
            keys.get_signing_key_from_jwt(token),
            algorithms=["RS256"],
            issuer=issuer,
            audience=audience,
            options={"require": ["exp", "iss", "aud"]},
        )
    except jwt.PyJWKClientConnectionError:
        raise
    except jwt.PyJWTError as error:
        return say(error, REFUSED)
    print(json.dumps(claims))
    return ACCEPTED


def say(error: Exception, exit_code: int) -> int:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
