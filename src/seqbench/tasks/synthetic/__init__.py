"""Synthetic tasks whose sequences are drawn afresh: memory over a span, and algorithms."""
