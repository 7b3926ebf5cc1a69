"""Ranks of a launch: what they share, and how they end."""
