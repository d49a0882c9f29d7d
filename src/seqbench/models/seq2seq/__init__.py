"""Encoder and decoder: one sequence is read, another of another length is put out."""

from seqbench.models.seq2seq.model import Seq2Seq

__all__ = ["Seq2Seq"]
