"""Pages of results: declared in a file, made from the records of their runs."""
