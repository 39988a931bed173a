"""The issuers that are trusted: as configured, and in service."""
