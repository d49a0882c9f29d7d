"""Trees, written as sequences of tokens with brackets."""
