"""Strict readers of wire formats: JSON, base64url and URLs."""
