"""Where verification keys come from: the configuration, or a key set over HTTP."""
