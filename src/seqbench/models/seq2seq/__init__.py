"""Encoder and decoder: one sequence is read, another of another length is put out."""
