"""What any room may use, and what knows none of them."""
