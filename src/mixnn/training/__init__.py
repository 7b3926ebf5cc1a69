"""A run, from a configuration to its directory."""
