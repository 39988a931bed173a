"""Rules: which one decides a request, and what it requires."""
