"""Images that are read as sequences."""
