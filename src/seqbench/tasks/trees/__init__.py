"""Tasks over trees, which are written as sequences of tokens with brackets."""
