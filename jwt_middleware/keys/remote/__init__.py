"""Fetches key sets: when, from where, and what is kept of them."""
