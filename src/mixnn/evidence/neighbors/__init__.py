"""The nearest neighbors of every sample in feature space."""
