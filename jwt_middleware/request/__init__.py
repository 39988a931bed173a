"""What the guard may see of a request, and where a token may be in it."""
