"""Issuing: the tokens of an application of its own, and their end."""
