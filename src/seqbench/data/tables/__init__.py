"""Tables: rows from files or the hub, the sequences that they are, and which of these train."""
