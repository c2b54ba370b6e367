"""What PyJWT says of tokens, as strict as its settings allow: a policy on the first line, then a token on each; `true`
or `false` for each. It knows no clock but the system's, so the times are compared here.
"""

import json
import sys

import jwt

policy = json.loads(sys.stdin.readline())
keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(policy["keys"]).keys}
options = {"require": ["exp", "iat", "iss", "aud", "sub", "jti"]}
options.update({"verify_exp": False, "verify_nbf": False, "verify_iat": False})


def is_timely(claims):
    def time(name, default=None):
        value = claims.get(name, default)
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    now, leeway = policy["now"], policy["leeway"]
    exp, iat, nbf = time("exp"), time("iat"), time("nbf", now)
    return None not in (exp, iat, nbf) and exp > now - leeway and iat <= now + leeway and nbf <= now + leeway


def accepts(token):
    try:
        key = keys[jwt.get_unverified_header(token)["kid"]]
        algorithms = [key.algorithm_name] if key.algorithm_name in policy["algorithms"] else []
        claims = jwt.decode(
            token, key, algorithms, audience=policy["audience"], issuer=policy["issuer"], options=options
        )
    except (jwt.InvalidTokenError, KeyError):
        return False
    return is_timely(claims)


for line in sys.stdin:
    print(json.dumps(accepts(json.loads(line))))
