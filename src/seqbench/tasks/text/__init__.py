"""Texts as streams of characters, bytes or words, of which the next one is predicted."""
