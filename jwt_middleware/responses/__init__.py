"""Verdicts and metadata as HTTP responses."""
