"""Sweeps: the jobs of `seqbench -m`, in processes of their own on this machine."""
