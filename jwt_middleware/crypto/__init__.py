"""Keys and algorithms as values, over PyJWT's algorithm objects."""
