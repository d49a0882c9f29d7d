"""Formal languages: Reber grammars, regular and context-free languages."""
