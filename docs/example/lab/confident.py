"""A metric of one's own: a task that has it beside its other metrics."""

from __future__ import annotations

from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, Metric, share
from seqbench.tasks.synthetic.latch import Latch


class ConfidentLatch(Latch):
    """`Latch`, of which is also measured how often the likelier class has a probability of 0.9 or more."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return *super().metrics, share("confident")

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        _, weights = measures["loss"]
        confident = outputs.softmax(-1).amax(-1) >= 0.9
        return {**measures, "confident": (confident.to(outputs.dtype), weights)}
