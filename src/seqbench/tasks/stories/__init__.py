"""Tasks of answering questions about stories."""
