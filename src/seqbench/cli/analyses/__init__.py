"""The analyses of `seqbench analyse`, one file each; `common` has what they share."""
