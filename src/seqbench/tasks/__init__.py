"""Tasks: learning problems over sequences. Each task is one file in the folder of its family."""
