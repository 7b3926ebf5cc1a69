"""Samples that are text, or rows of a table: what they say, and features of them."""
