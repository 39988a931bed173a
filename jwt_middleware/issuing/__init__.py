"""Our own tokens: key rings, minting, refresh families."""

from jwt_middleware.issuing.key_ring import KeyRing, RingKey, Rotation
from jwt_middleware.issuing.minter import Minter
from jwt_middleware.issuing.sealing import KeyEncryption

__all__ = ["KeyEncryption", "KeyRing", "Minter", "RingKey", "Rotation"]
