"""Issuers in service: their settings, their keys, and which of them a token is from."""
