"""Data with reviewed labels, in the form it came in. One module for each form."""
