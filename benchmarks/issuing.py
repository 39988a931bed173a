"""Minting, beside PyJWT, joserfc and Authlib, by algorithm and size of the claims.

Promised: at least as fast as PyJWT's ``encode`` with the same claims. The floor is the signature.
"""

import time
import warnings
from collections.abc import Callable
from importlib import import_module
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import jwt
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt

from benchmarks.harness import measure, show
from jwt_middleware import Guard, Issuer
from jwt_middleware.crypto.signing import SigningKey
from jwt_middleware.issuing import KeyRing, Minter, TokenPairs
from jwt_middleware.stores import connect
from jwt_middleware.stores.contract import ABSENT, Change, Exchange, Read

# It has no types, and warns that joserfc follows it.
warnings.simplefilter("ignore")
authlib_jose: Any = import_module("authlib.jose")

ISSUER, AUDIENCE = "https://shop.example/", "orders"
ALGORITHMS = ("HS256", "ES256", "RS256", "Ed25519")
SIZES = {"0.3 KB": 4, "1 KB": 40, "4 KB": 160, "15 KB": 550}
"""By the number of roles, of 17 characters and more each."""


def claims(roles: int) -> dict[str, Any]:
    return {"scope": "orders:read", "roles": [f"role-of-number-{each}" for each in range(roles)]}


def whole(said: dict[str, Any]) -> dict[str, Any]:
    """Return what the minter would sign, as a program without it makes it."""
    now = int(time.time())
    known = {"iss": ISSUER, "sub": "user-42", "aud": AUDIENCE, "iat": now, "nbf": now}
    return {**known, "exp": now + 900, "jti": uuid4().hex, **said}


def peers(key: SigningKey, said: dict[str, Any]) -> dict[str, Callable[[], object]]:
    name = key.algorithm.name
    header = {"alg": name, "typ": "at+jwt", "kid": key.kid}
    theirs = joserfc_jwk.import_key(dict(key.private_jwk()))
    work: dict[str, Callable[[], object]] = {
        "joserfc": lambda: joserfc_jwt.encode(header, whole(said), theirs, algorithms=[name])
    }
    if name != "Ed25519":
        # These two do not know the name of RFC 9864.
        work["PyJWT"] = lambda: jwt.encode(whole(said), key.private, name, header)
        authlib, jwk = authlib_jose.JsonWebToken([name]), key.private_jwk()
        work["Authlib"] = lambda: authlib.encode(header, whole(said), jwk)
    return work


def minting() -> None:
    for name in ALGORITHMS:
        ring = KeyRing(connect("memory:"), algorithm=name)
        minter = Minter(ring, issuer=ISSUER, audience=AUDIENCE)
        ring.load()
        key = ring.signer()
        assert key is not None
        for size, roles in SIZES.items():
            said = claims(roles)
            token = minter.mint("user-42", claims=said)
            signing_input = token.rpartition(".")[0].encode()
            work: dict[str, Callable[[], object]] = {
                "the signature": lambda key=key, text=signing_input: key.sign(text),  # type: ignore[misc]
                "mint": lambda minter=minter, said=said: minter.mint("user-42", claims=said),  # type: ignore[misc]
                **peers(key, said),
            }
            show(
                f"{name}, claims of {size}, a token of {len(token):,}",
                measure(work),
                "the signature",
            )


def verifying() -> None:
    """A new token each time, so that no cache answers."""
    for name in ALGORITHMS:
        ring = KeyRing(connect("memory:"), algorithm=name)
        minter = Minter(ring, issuer=ISSUER, audience=AUDIENCE)
        issuer = Issuer(ISSUER, audience=AUDIENCE, keys=ring, algorithms=[name])
        guard = Guard(issuers=issuer, token_cache_size=1)
        tokens = [minter.mint("user-42", claims=claims(4)) for _ in range(500)]
        places = iter(range(10**9))
        work = {
            "mint": lambda minter=minter: minter.mint("user-42", claims=claims(4)),
            "verify": lambda guard=guard, tokens=tokens, places=places: guard.verify(  # type: ignore[misc]
                tokens[next(places) % 500]
            ),
        }
        show(f"{name}: minting and verifying", measure(work), "mint")


def refreshing() -> None:
    """Each refresh is two statements to the store; the floor is these statements alone."""
    with TemporaryDirectory() as folder:
        store = connect(f"sqlite:///{folder}/tokens.db")
        pairs = TokenPairs(Minter(KeyRing(store), issuer=ISSUER, audience=AUDIENCE), store)
        newest = [pairs.issue("user-42").refresh_token]
        version = [ABSENT]

        def refresh() -> None:
            newest[0] = pairs.refresh(newest[0]).refresh_token

        def statements() -> None:
            deadline = time.monotonic() + 10
            store.answer(Read("floor", "a"), deadline)
            change = Change("floor", "a", version[0], b"x" * 600)
            store.answer(Exchange((change,)), deadline)
            version[0] += 1

        work: dict[str, Callable[[], object]] = {"a read and a commit": statements}
        show(
            "a refresh on SQLite, whose commits wait for the disk",
            measure({**work, "refresh": refresh}, seconds=0.1),
            "a read and a commit",
        )
        store.close()


ALL = (minting, verifying, refreshing)
