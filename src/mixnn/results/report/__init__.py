"""One HTML page, and one picture, of a run. Must not know: torch, training."""
