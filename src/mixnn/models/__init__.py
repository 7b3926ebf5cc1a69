"""Networks, their weights, and trained ones on disk."""
