"""What a task or a model is, in words and pictures for a terminal: `seqbench show`."""
