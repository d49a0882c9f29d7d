"""Tasks: one file each. `base.py` says what a task is."""
