"""Tokens, offline: parsing, claims, verification and the cache of verified tokens."""

from jwt_middleware.tokens.verifier import verify_jws as verify_jws

__all__ = ["verify_jws"]
