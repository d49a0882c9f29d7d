"""What models let one see of themselves in use, shown as tables, weights and figures.

    model ──observe──▶ record of a batch ──present──▶ a presentation of each row

A record is one of `seqbench.models.observations`; each kind has a file here. A package that has a model with
another kind of record registers its presentation with `@present.register`.
"""

from seqbench.analysis.observations.alignment import AlignmentPresentation
from seqbench.analysis.observations.base import observe, picture, present
from seqbench.analysis.observations.heads import HeadsPresentation
from seqbench.analysis.observations.lookups import LookupsPresentation
from seqbench.analysis.presentation import Presentation

__all__ = [
    "AlignmentPresentation",
    "HeadsPresentation",
    "LookupsPresentation",
    "Presentation",
    "observe",
    "picture",
    "present",
]
