"""Public test vectors as rows: a token, keys, and whether it is to be accepted.

The files are byte for byte those of their publishers; see ``vectors/README.md``.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jwt.algorithms import RSAAlgorithm

from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.formats import base64url

VECTORS = Path(__file__).parent / "vectors"
WYCHEPROOF = ("json_web_signature", "json_web_key", "json_web_crypto")


@dataclass(frozen=True)
class Row:
    """One vector."""

    name: str
    token: str
    jwks: dict[str, Any]
    is_valid: bool
    payload: bytes | None = None
    """What is signed, where the publisher says."""

    @property
    def algorithms(self) -> list[str]:
        """Every algorithm that keys of this kind may be used with, symmetric or not."""
        members = self.jwks.get("keys", [self.jwks])
        is_symmetric = all(key["kty"] == "oct" for key in members)
        return [name for name, row in ALGORITHMS.items() if row.is_symmetric == is_symmetric]


def read(path: str) -> Any:
    return json.loads((VECTORS / path).read_text(encoding="utf-8"))


def wycheproof() -> Iterator[Row]:
    for name in WYCHEPROOF:
        for group in read(f"wycheproof/{name}_test.json")["testGroups"]:
            jwks = group.get("public") or group["private"]
            for test in group["tests"]:
                # Encrypted tokens are five segments; that each is refused is worth as much.
                token = test.get("jws") or test.get("jwe")
                text = token if isinstance(token, str) else json.dumps(token)
                valid = test["result"] == "valid" and "jws" in test
                yield Row(f"wycheproof {name} {test['tcId']}", text, jwks, valid)


def cookbook() -> Iterator[Row]:
    """RFC 7520 §4, RFC 8037 A.4 and RFC 7797 §4."""
    for path in sorted((VECTORS / "ietf-jose-cookbook").rglob("*.json")):
        vector = json.loads(path.read_text(encoding="utf-8"))
        keys = vector["input"]["key"]
        jwks = {"keys": keys if isinstance(keys, list) else [keys]}
        payload = vector["input"]["payload"].encode()
        for form, token in vector["output"].items():
            text = token if isinstance(token, str) else json.dumps(token)
            yield Row(f"cookbook {path.stem} {form}", text, jwks, is_valid=True, payload=payload)


def latchset() -> Iterator[Row]:
    """RFC 7515 appendix A and RFC 7520 §4, once more and from somebody else."""
    folder = VECTORS / "latchset-jose"
    for path in sorted(folder.glob("*.jws?")):
        token = path.read_text(encoding="utf-8").strip()
        yield Row(f"latchset {path.name}", token, _latchset_keys(folder / path.stem), is_valid=True)


def _latchset_keys(stem: Path) -> dict[str, Any]:
    for suffix in (".jwk", ".jwkset"):
        path = stem.with_name(stem.name + suffix)
        if path.exists():
            jwks: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return jwks
    # RFC 7515 A.5 is unsigned: any key will do.
    return _latchset_keys(stem.with_name("rfc7515_A.2"))


def joserfc() -> Iterator[Row]:
    shared = read("latchset-jose/rfc7515_A.1.jwk")
    for name in ("jws_examples", "jws_rfc7520", "jws_rfc7797", "jwt_use_jws"):
        document = read(f"joserfc/{name}.json")
        for test in document["tests"]:
            payload = test.get("payload", document["payload"])
            signed = payload.encode() if isinstance(payload, str) else None
            for form in ("compact", "token", "general_json", "flattened_json"):
                if form in test:
                    token = test[form]
                    text = token if isinstance(token, str) else json.dumps(token)
                    row = f"joserfc {name} {test['name']} {form}"
                    yield Row(row, text, _joserfc_key(test) or shared, True, signed)


def _joserfc_key(test: dict[str, Any]) -> dict[str, Any]:
    if secret := test.get("secret"):
        return {"kty": "oct", "k": base64url.encode(secret.encode()).decode()}
    name = test.get("public_key")
    if name is None:
        return {}
    text = (VECTORS / "joserfc/keys" / name).read_text(encoding="utf-8")
    if name.endswith(".json"):
        jwk: dict[str, Any] = json.loads(text)
        return jwk
    algorithm = RSAAlgorithm(RSAAlgorithm.SHA256)
    return RSAAlgorithm.to_jwk(algorithm.prepare_key(text), as_dict=True)


ROWS = (*wycheproof(), *cookbook(), *latchset(), *joserfc())
