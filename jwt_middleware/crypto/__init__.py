"""Keys and signature algorithms, based on PyJWT's algorithm objects."""
