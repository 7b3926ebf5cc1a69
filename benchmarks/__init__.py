"""Scripts that measure, and the benchmark queue. Not installed: run from a checkout."""
