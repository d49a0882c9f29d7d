"""A family with an input of its own kind: graphs. Nothing in seqbench knows of it."""
