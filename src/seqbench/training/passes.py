"""A pass: the seeds that go through it, as they train and are evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from seqbench.models.model import Model
from seqbench.tasks.base import Task
from seqbench.tasks.batch import TEACHER_MASK, Batch
from seqbench.tasks.metrics import Measures
from seqbench.training.carried import CarriedState
from seqbench.training.optimisation import GroupRates, OptimizerConfig
from seqbench.training.seed_stack import (
    WIDTH,
    OneModel,
    SeedStack,
    aligned,
    optimizer_of_one,
    optimizer_of_stack,
)
from seqbench.training.updates import Backward, update_for

#: By the metric's name: its sum over targets, and the sum of their weights, (2,) or (2, W).
Sums = dict[str, Tensor]
#: What names of measures begin with that were taken for the gap alone.
BESIDE = "beside_"


class Pass:
    """One seed, or the seeds of a stack: their models, optimiser, and what is measured.

    No tensor of a pass is shared with another one, so that passes may go through threads, and the numbers of
    a seed do not depend on its company.

    Args:
        models: those of the seeds: one, or up to `WIDTH` if `stacked`. They are on their device.
        task: what is learnt.
        config: how models are optimised.
        max_steps: the last step.
        stacked: whether the models are stacked.
        accumulate: see `Update`.

    Attributes:
        models: of the seeds, in order.
        optimizer: of the pass.
        carried: the state that goes on from one step to the next, if the task has streams.
        rate: the learning rate of the last step, of which each group of parameters has its share.
        plateaus: how often evaluations have stopped to improve, for a learning rate that falls then.
        last: loss and norm of the gradient of the last step, (2,) or (2, W).
        sums: what was measured, for each set.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        task: Task,
        config: OptimizerConfig,
        max_steps: int,
        stacked: bool = False,
        accumulate: int = 1,
    ) -> None:
        self.models = list(models)
        self.task = task
        self.config = config
        self.max_steps = max_steps
        self.stacked = stacked
        self.together = SeedStack(models) if stacked else OneModel(models[0])
        self.update = update_for(self.together, task.targets, config, accumulate)
        # An optimiser has at least one parameter, and a model may have none to train.
        self.optimizer = config.build(self.together.parameters() or [nn.Parameter(torch.zeros(()))])
        self.rate = config.lr
        self._rates = GroupRates(self.optimizer, config)
        self.plateaus = 0
        self.last: Tensor | None = None
        self.sums: list[Sums] = []
        self.carried = CarriedState(self.update, task)
        self._ends: dict[tuple[int, str], Any] = {}  # of an evaluation's streams, by set and loop
        self._totals: Tensor | None = None
        self._counted: int | Tensor = 0  # steps with a target that counts, for each seed

    # Training

    def train(
        self,
        batches: Iterable[Batch],
        step: int,
        optimizer: torch.optim.Optimizer | None = None,
        backward: Backward = torch.autograd.backward,
    ) -> int:
        """Take an optimisation step on each batch; return how many these are.

        Args:
            batches: one for each step.
            step: the number of the first.
            optimizer: what takes the step in place of the pass's own, which it wraps.
            backward: runs the backward pass.
        """
        first = step
        for batch in batches:
            # Autocast keeps its casts of weights until it ends, and the last step has changed the weights.
            torch.clear_autocast_cache()
            self.rate = self.config.lr_at(step, self.max_steps, self._epoch_steps(batch), self.plateaus)
            self._rates.set(self.rate)
            if self.task.streams:
                self.carried.before_step(batch, step)
            self.last = self.update.step(batch, optimizer or self.optimizer, backward)
            self._rates.check()
            step += 1
            if self.last is not None:
                # Half precision is too coarse for sums: bfloat16 adds nothing to what is 256 times as much.
                last = self.last.to(torch.promote_types(self.last.dtype, torch.float32))
                self._totals = last if self._totals is None else self._totals + last
                self._counted = self._counted + self._has_targets(batch)
        torch.clear_autocast_cache()
        return step - first

    def _has_targets(self, batch: Batch) -> int | Tensor:
        """Return 1 if a target of the batch counts, else 0; of stacked models (W,)."""
        if batch.mask is None or not self.task.targets.per_step:
            return 1
        return batch.mask.flatten(self.together.lead).any(self.together.lead).int()

    def _epoch_steps(self, batch: Batch) -> int | None:
        if self.config.schedule != "step":
            return None
        return self.task.epoch_steps(batch.inputs.shape[self.together.lead])

    def take_means(self) -> list[dict[str, float]]:
        """Return the mean loss and gradient norm, for each seed, of the steps since the last call.

        A step on a batch in which no target counts has neither. A seed without any other step has none.
        """
        seeds = len(self.models)
        if self._totals is None:
            return [{} for _ in range(seeds)]
        counted = self._counted
        has = [True] * seeds
        if isinstance(counted, Tensor):
            has, counted = counted.view(-1)[:seeds].bool().tolist(), counted.clamp_min(1)
        means = (self._totals / counted).view(2, -1)[:, :seeds].T.tolist()
        self._totals, self._counted = None, 0
        names = "train_loss", "gradient_norm"
        return [
            dict(zip(names, its, strict=True)) if one else {} for one, its in zip(has, means, strict=True)
        ]

    # Checkpoints

    def optimizer_states(self) -> list[dict[str, Any]]:
        """Return the optimiser's state for each seed, as if it were alone."""
        state = self.optimizer.state_dict()
        return [optimizer_of_one(state, k) for k in range(len(self.models))] if self.stacked else [state]

    def load_optimizer_states(self, states: Sequence[dict[str, Any]]) -> None:
        """Continue from the optimiser's states of all seeds."""
        self.optimizer.load_state_dict(optimizer_of_stack(states) if self.stacked else states[0])

    # Evaluation

    def measure(self, batch: Batch, index: int, counts: bool = True) -> None:
        """Add what is measured on a batch to the sums of the `index`-th set.

        Args:
            batch: which all seeds read.
            index: of the set.
            counts: whether it is counted.
        """
        while index >= len(self.sums):
            self.sums.append({})
        sums = self.sums[index]
        # Stacked models share the memory that a single model has for a whole batch.
        whole = not self.stacked or self.task.streams
        for part in [batch] if whole else batch.split(-(-len(batch.inputs) // WIDTH)):
            for name, (values, weights) in self._measures(part, index).items():
                dtype = torch.promote_types(values.dtype, torch.float32)  # half precision is too coarse
                lead = self.together.lead
                # What counts nothing adds nothing, were it infinite.
                values = torch.where(weights == 0, torch.zeros_like(values), values)
                both = torch.stack([values * weights, weights]).to(dtype).flatten(lead + 1)
                both = (aligned(both) if lead else both).sum(-1) * counts
                sums[name] = both + sums[name] if name in sums else both

    def _measures(self, batch: Batch, index: int) -> Measures:
        """Return the measures of the models in the loop in which they are used, and in the other one.

        A model of a task with a horizon is used with true inputs, and `closed_…` is measured where it goes on
        with its own outputs, over its last steps; `beside_…` is the same over these steps with true inputs,
        from which the gap is taken. A model that feeds back its outputs is used without the truth, and
        `open_…` is measured with it.
        """
        task = self.task
        rows, steps = batch.inputs.shape[:2]
        if task.horizon:

            def opened(outputs: Any, mine: Batch) -> Measures:
                last = task.measure_closed(outputs, mine).items()
                same = {f"{BESIDE}{name.removeprefix('closed_')}": both for name, both in last}
                return task.measure(outputs, mine) | same

            measures = self._map(opened, batch, index, "open")
            t = torch.arange(steps, device=batch.inputs.device)
            truth = (t <= steps - task.horizon).expand(rows, steps)
            closed = batch.with_extras(**{TEACHER_MASK: truth})
            return measures | self._map(task.measure_closed, closed, index)
        if cast(Model, self.models[0]).feeds_back:
            with_truth = self._map(task.measure, batch, index, "open")
            nowhere = torch.zeros(batch.targets.shape[:2], dtype=torch.bool, device=batch.inputs.device)
            measures = self._map(task.measure, batch.with_extras(**{TEACHER_MASK: nowhere}), index)
            return measures | {f"open_{name}": both for name, both in with_truth.items()}
        return self._map(task.measure, batch, index)

    def _map(
        self, measure: Callable[[Any, Batch], Measures], batch: Batch, index: int, loop: str = ""
    ) -> Measures:
        found: Measures
        if self.task.streams:
            found, self._ends[index, loop] = self.together.apply(
                lambda outputs, state, mine: (measure(outputs, mine), state),
                *(batch, self._ends.get((index, loop))),
                shared=True,
            )
            return found
        found = self.together.apply(lambda outputs, state, mine: measure(outputs, mine), batch, shared=True)
        return found

    def take_metrics(self, reduce: Callable[[Tensor], Tensor]) -> list[list[dict[str, float]]]:
        """Return the metrics of each set, for each seed, and forget them.

        Raises:
            ValueError: no target of a set counts, so that it has no loss.
        Args:
            reduce: adds a tensor up over all processes that share the sets.
        """
        found: list[list[dict[str, float]]] = [[] for _ in self.models]
        for sums in self.sums:
            means = {}
            for name, both in sums.items():
                # In single precision 990 of 1,000 is more than 0.99, and 950 less than 0.95.
                total, weight = reduce(both).cpu().double()
                if name == "loss" and not weight.any():
                    raise ValueError("no target of the evaluated set counts, so that there is no loss")
                means[name] = (total / weight).view(-1).tolist()
            for k, its in enumerate(found):
                its.append(_with_gaps(self.task.summary({name: values[k] for name, values in means.items()})))
        self.sums, self._ends = [], {}
        return found


def _with_gaps(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics with what each loses from the open to the closed loop, where both are measured."""
    gaps = {}
    for name, value in metrics.items():
        loop, _, of = name.partition("_")
        if loop in ("closed", "open") and of in metrics:
            gaps[f"gap_{of}"] = value - metrics[BESIDE + of] if loop == "closed" else metrics[of] - value
    return {name: value for name, value in metrics.items() if not name.startswith(BESIDE)} | gaps
