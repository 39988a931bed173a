"""Revocation: tokens, sessions, subjects and keys that a guard refuses although they are valid."""

from jwt_middleware.revocation.revocation_list import RevocationList

__all__ = ["RevocationList"]
