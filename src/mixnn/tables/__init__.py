"""A row for each training sample."""
