"""Cells: one file each, with its equations and its diagram."""
