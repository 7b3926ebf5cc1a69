"""Labels that are not the data's own: from a file, or from a person."""
