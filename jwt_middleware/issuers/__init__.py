"""The trusted issuers: their configuration, and their state at run time."""
