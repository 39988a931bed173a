"""Tokens, offline: parsing, claims, verification and the memory of what was verified."""

from jwt_middleware.tokens.verifier import verify_jws as verify_jws

__all__ = ["verify_jws"]
