"""Sources of verification keys: the configuration, or a key set over HTTP."""
