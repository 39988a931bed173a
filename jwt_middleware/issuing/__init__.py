"""Our own tokens: key rings, minting, refresh families."""

from jwt_middleware.issuing.key_ring import KeyRing
from jwt_middleware.issuing.minter import Minter
from jwt_middleware.issuing.public_ring import PublicKeyRing
from jwt_middleware.issuing.ring_status import RingKey, Rotation
from jwt_middleware.issuing.sealing import KeyEncryption
from jwt_middleware.issuing.token_pair import Login, TokenPair
from jwt_middleware.issuing.token_pairs import TokenPairs

__all__ = [
    "KeyEncryption",
    "KeyRing",
    "Login",
    "Minter",
    "PublicKeyRing",
    "RingKey",
    "Rotation",
    "TokenPair",
    "TokenPairs",
]
