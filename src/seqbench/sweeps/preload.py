"""Imported by the server whose children train, before the first of them: each has it then, at no cost."""

import seqbench.runs.schedule
import seqbench.training.progress  # noqa: F401
