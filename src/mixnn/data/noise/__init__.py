"""Wrong labels for experiments."""
