"""One sequence into another of another length."""
