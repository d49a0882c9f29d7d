"""A package outside seqbench: a cell, a task, data, a logger, and more. Nothing in seqbench knows of it."""
