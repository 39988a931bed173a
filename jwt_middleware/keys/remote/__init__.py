"""Key sets that are fetched: when, from where, and what is kept."""
