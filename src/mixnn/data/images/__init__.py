"""Images: encoded, decoded, and where they are kept."""
