"""Checks access tokens as a Python service does that stays up: with PyJWT and one JWK Set client, which keeps the set.

Reads tokens, one a line, and answers each with a line: `accepted`, or `refused` and why. That no keys could be fetched
is a refusal as well: to whoever sent the token it makes no difference.

The environment says JWKS_URL, ISSUER and AUDIENCE, and in seconds LIFESPAN and COOLDOWN, which the client takes.
"""

import os
import sys

import jwt


def main() -> None:
    keys = jwt.PyJWKClient(
        os.environ["JWKS_URL"],
        lifespan=float(os.environ["LIFESPAN"]),
        cooldown_duration=float(os.environ["COOLDOWN"]),
    )
    for line in sys.stdin:
        print(verdict(line.strip(), keys), flush=True)


def verdict(token: str, keys: jwt.PyJWKClient) -> str:
    try:
        jwt.decode(
            token,
            keys.get_signing_key_from_jwt(token),
            algorithms=["RS256"],
            issuer=os.environ["ISSUER"],
            audience=os.environ["AUDIENCE"],
            options={"require": ["exp", "iss", "aud"]},
        )
    except jwt.PyJWTError as error:
        return f"refused {type(error).__name__}: {error}"
    return "accepted"


if __name__ == "__main__":
    main()
