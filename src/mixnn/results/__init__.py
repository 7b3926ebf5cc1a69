"""What a person gets of a run: lists, report, exports, cleaned data. Must not know: torch, training."""
