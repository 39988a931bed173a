"""Tokens, offline: parsing, claims, verification and the memory of what was verified."""
