"""Past one machine: features made and neighbors found by the workers of a Ray cluster, in pieces that never change."""
