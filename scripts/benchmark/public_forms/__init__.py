"""Public forms of the parallel models that run on a CPU: each a layer (B, T, W) to (B, T, W) in PyTorch.

A form is a package's own layer where it has one. Where it has the recurrence alone, that stands in a layer of
seqbench in the place of seqbench's own; state-space models have the output of seqbench's layers.
"""

from __future__ import annotations

from . import layers, matrix_states, state_spaces
from .form import Form

#: By the name of a preset, the public forms of its layer.
FORMS: dict[str, tuple[Form, ...]] = state_spaces.FORMS | matrix_states.FORMS | layers.FORMS
