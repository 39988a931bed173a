"""Strict parsers of wire formats: JSON, base64url and URLs."""
