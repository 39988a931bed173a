"""Stores: what processes share, as documents with versions."""
