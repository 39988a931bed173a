"""A walk through the product: a real issuer, real servers, a real client."""
