"""Which rule decides a request, and what it asks for."""
