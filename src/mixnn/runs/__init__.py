"""The files of a run directory. Must not know: torch."""
