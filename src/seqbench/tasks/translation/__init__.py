"""Tasks that map one sequence to another of another length."""
