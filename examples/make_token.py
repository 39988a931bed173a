"""Print a token for the other examples, signed as their issuer would sign it.

The examples read the secret from the environment, and so does this program:

    export JWT_SECRET=$(openssl rand -base64 48)
    TOKEN=$(python make_token.py)
    TOKEN=$(python make_token.py --scope "" --role admin)

With an RSA key it signs for the second issuer of algorithms.py:

    TOKEN=$(python make_token.py --issuer https://login.partner.example/ --key partner-private.pem)

The token goes behind the word Bearer:

    curl -i http://127.0.0.1:8000/orders/1 -H "Authorization: Bearer $TOKEN"

Only an issuer makes tokens. A service needs this only for trying things out.
"""

import argparse
import os
import time
from pathlib import Path

import jwt


def main() -> None:
    parser = argparse.ArgumentParser(description="Print a token for the examples.")
    parser.add_argument("--issuer", default="https://id.example/")
    parser.add_argument("--audience", default="orders")
    parser.add_argument("--subject", default="alice")
    parser.add_argument("--scope", default="orders:read", help="scopes, separated by spaces")
    parser.add_argument("--role", action="append", default=[], help="may stand several times")
    parser.add_argument("--seconds", type=int, default=3600, help="how long it is valid")
    parser.add_argument("--key", type=Path, help="an RSA private key; HS256 without it")
    wanted = parser.parse_args()
    now = int(time.time())
    claims = {
        "iss": wanted.issuer,
        "aud": wanted.audience,
        "sub": wanted.subject,
        "scope": wanted.scope,
        "roles": wanted.role,
        "iat": now,
        "exp": now + wanted.seconds,
    }
    if wanted.key is None:
        print(jwt.encode(claims, os.environ["JWT_SECRET"], algorithm="HS256"))
    else:
        print(jwt.encode(claims, wanted.key.read_bytes(), algorithm="RS256"))


if __name__ == "__main__":
    main()
