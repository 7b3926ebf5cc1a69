"""What network and neighbors say of every sample without having seen its label."""
