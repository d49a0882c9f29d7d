"""The Lightning module: any model, with any number of seeds, on any task."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Literal, cast

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from seqbench.models.model import Model
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures
from seqbench.training.data import TrainingStream
from seqbench.training.optim import Recipe
from seqbench.training.seeds import SeedStack, optimizer_of_all, optimizer_of_one
from seqbench.training.ways import Way, fastest

#: By the measure's name: its sum over targets, and the sum of their weights, (2, K).
Sums = dict[str, Tensor]


class SequenceLearner(L.LightningModule):
    """Trains the models of K seeds on a task by a recipe, side by side.

    A call of `training_step` takes several optimisation steps, so that Lightning's cost per batch is shared
    among them; nothing in it waits for the device.

    Attributes:
        step: optimisation steps done.
        way: how passes go; None until it is measured, when training begins, what is fastest.
        together: whether seeds go together, where that is not left to measurement.
        stream: where the training batches come from, to be set before training.
        resumed: for each model, what its checkpoint holds, to go on from.
        best_weights: for each model, what is to be tested; empty tests the models as they are.
        evaluation: metrics of the last evaluation, `{metric: value}` for each model.
        tested: for each model, metrics of the test sets, one dict for each of the task's `eval_lengths`.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        task: Task,
        recipe: Recipe,
        max_steps: int,
        way: Way | None = None,
        together: bool | Literal["auto"] = "auto",
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.stack = SeedStack(models, recipe.omega, recipe.truncate)
        self.task = task
        self.recipe = recipe
        self.max_steps = max_steps
        self.step = 0
        self.evaluation: list[dict[str, float]] = []
        self.tested: list[list[dict[str, float]]] = []
        self.way = way
        self.together: bool | Literal["auto"] = together
        self.stream: TrainingStream
        self.resumed: list[dict[str, Any]] = []
        self.best_weights: list[dict[str, Tensor]] = []
        self._sums: list[Sums] = []
        self._totals: Tensor | None = None
        self._counted = 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        # Not before now are the models on their device and of their type.
        if self.resumed:
            for model, checkpoint in zip(self.stack.models, self.resumed, strict=True):
                model.load_state_dict(checkpoint["model"])
        if len(self.stack) > 1 or (self.way is not None and self.way.together):
            self.stack.tie()
        optimizer = self.recipe.build(self.stack.trainable())
        if self.resumed:
            optimizer.load_state_dict(self._join([checkpoint["optimizer"] for checkpoint in self.resumed]))
        self.resumed = []
        return optimizer

    def on_train_start(self) -> None:
        trainer = self.trainer
        if self.solves:
            self.way = Way(False, self.stack.engine)
        if self.way is None and trainer.world_size > 1:  # passes of its own would confuse the processes
            self.way = Way(False, self.stack.engine)
        if self.way is None:
            batch = self.transfer_batch_to_device(self.stream.example(), self.device, 0)
            with trainer.precision_plugin.train_step_context():
                self.way = fastest(
                    self.stack,
                    self.task.targets,
                    trainer.precision_plugin.convert_input(batch),
                    self.max_steps - self.step,
                    self.together,
                )
        self.stack.run_with(*self.way)

    def zero_grad(self, set_to_none: bool = True) -> None:
        # Lightning calls it too, and gradients in rows must stay in them.
        self.stack.zero_grad(set_to_none)

    def optimizer_states(self) -> list[dict[str, Any]]:
        """Return the optimiser's state for each seed, as if it were alone."""
        state = self.trainer.optimizers[0].state_dict()
        return [optimizer_of_one(state, k) for k in range(len(self.stack))] if self.stack.tied else [state]

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with the seeds of these rows alone; the optimiser goes on with what it knows of them."""
        states = self.optimizer_states()
        self.stack.keep(rows)
        self.stream.keep(rows)
        optimizer = self.trainer.optimizers[0]
        optimizer.param_groups[0]["params"] = self.stack.trainable()
        optimizer.state.clear()
        optimizer.load_state_dict(self._join([states[k] for k in rows]))

    def _join(self, states: list[dict[str, Any]]) -> dict[str, Any]:
        return optimizer_of_all(states) if self.stack.tied else states[0]

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        optimizer = cast(LightningOptimizer, self.optimizers())
        for batch in batches:
            batch = self._share(batch, dim=1)
            for group in optimizer.param_groups:
                group["lr"] = self.recipe.lr_at(self.step, self.max_steps)
            self.zero_grad()
            if self.solves:
                self._accumulate(batch)
                self.step += 1
                continue
            losses = self.stack.backward(self.task.targets, batch, self.manual_backward)
            norms = self.recipe.clip(self.stack.gradients())
            optimizer.step()
            self.step += 1
            totals = torch.stack([losses, norms.detach()])
            self._totals = totals if self._totals is None else self._totals + totals
            self._counted += 1

    @property
    def solves(self) -> bool:
        """Whether the models' readouts are solved for, and not learnt by gradients."""
        return getattr(self.stack.models[0], "solves_readout", False)

    def _accumulate(self, batch: Batch) -> None:
        for k, model in enumerate(self.stack.models):
            names = inspect.signature(cast(Model, model).accumulate).parameters
            cast(Model, model).accumulate(**batch.of_seed(k).arguments(names))

    def _share(self, batch: Batch, dim: int) -> Batch:
        """Return this process's part of a batch that all share."""
        if self.trainer.world_size == 1:
            return batch
        size = -(-batch.inputs.shape[dim] // self.trainer.world_size)
        mine = slice(self.global_rank * size, (self.global_rank + 1) * size)
        return batch.map(lambda part: part[:, mine] if dim else part[mine])

    def take_training_means(self) -> list[dict[str, float]]:
        """Return the mean loss and gradient norm, for each model, of the steps since the last call."""
        if self._totals is None:
            return [{} for _ in range(len(self.stack))]
        means = self.trainer.strategy.reduce(self._totals / self._counted, reduce_op="mean")
        losses, norms = cast(Tensor, means).tolist()
        self._totals, self._counted = None, 0
        return [{"train_loss": loss, "gradient_norm": norm} for loss, norm in zip(losses, norms, strict=True)]

    def on_validation_epoch_start(self) -> None:
        self._sums = []
        for model in self.stack.models if self.solves else ():
            cast(Model, model).solve()

    def on_test_start(self) -> None:
        if self.best_weights:
            for model, weights in zip(self.stack.models, self.best_weights, strict=True):
                model.load_state_dict(weights)
        self.stack.run_with(*(self.way or Way(False, None)))
        if self.stack.together:  # the models may have moved since they were trained
            self.stack.tie()

    def on_test_epoch_start(self) -> None:
        self._sums = []

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._measure(batch, dataloader_idx)

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._measure(batch, dataloader_idx)

    def on_validation_epoch_end(self) -> None:
        self.evaluation = self._means(self._sums[0])

    def on_test_epoch_end(self) -> None:
        by_length = [self._means(sums) for sums in self._sums]
        self.tested = [[means[k] for means in by_length] for k in range(len(self.stack))]

    def _measure(self, batch: Batch, index: int) -> None:
        """Add to the sums of the `index`-th set what the models make of a batch of it."""
        mine = self._share(batch, dim=0)
        counts = len(mine.inputs) > 0
        if not counts:  # fewer sequences than processes: go along with one that does not count
            mine = batch.rows(0, 1)
        while index >= len(self._sums):
            self._sums.append({})
        sums = self._sums[index]
        # Models that go together share the memory that one has for a whole piece.
        for piece in mine.split(-(-len(mine.inputs) // len(self.stack))) if self.stack.together else [mine]:
            for name, (values, weights) in self._measures(piece).items():
                dtype = torch.promote_types(
                    values.dtype, torch.float32
                )  # half precision is no place to sum in
                both = torch.stack([values * weights, weights]).to(dtype).flatten(2).sum(2) * counts
                sums[name] = both + sums[name] if name in sums else both

    def _measures(self, batch: Batch) -> Measures:
        """Return the measures of every model, as it is used and, where that differs, in its other loop.

        Where truth of the past is at hand as an input, a model is used so, and `closed_…` is how it goes on
        by itself. A model that is fed back its outputs is used without the truth, and `open_…` is how it does
        with it.
        """
        task = self.task
        model = self.stack.models[0]
        rows, steps = batch.inputs.shape[:2]
        if task.horizon:
            measures: Measures = self.stack.each(task.measure, batch, shared=True)
            t = torch.arange(steps, device=batch.inputs.device)
            batch = batch.with_extras(teacher_mask=(t <= steps - task.horizon).expand(rows, steps))
            closed: Measures = self.stack.each(task.measure_closed, batch, shared=True)
            return measures | closed
        if getattr(model, "feeds_back", False):
            with_truth: Measures = self.stack.each(task.measure, batch, shared=True)
            nowhere = torch.zeros(batch.targets.shape[:2], dtype=torch.bool, device=batch.inputs.device)
            measures = self.stack.each(task.measure, batch.with_extras(teacher_mask=nowhere), shared=True)
            return measures | {f"open_{name}": both for name, both in with_truth.items()}
        return cast(Measures, self.stack.each(task.measure, batch, shared=True))

    def _means(self, sums: Sums) -> list[dict[str, float]]:
        found: dict[str, list[float]] = {}
        for name, both in sums.items():
            total, weight = cast(Tensor, self.trainer.strategy.reduce(both, reduce_op="sum"))
            found[name] = (total / weight).tolist()
        each = [{name: values[k] for name, values in found.items()} for k in range(len(self.stack))]
        return [with_gaps(self.task.summary(metrics)) for metrics in each]


def with_gaps(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics with what each loses from open to closed loop, where it is told in both."""
    gaps = {}
    for name, value in metrics.items():
        loop, _, of = name.partition("_")
        if loop in ("closed", "open") and of in metrics:
            gaps[f"gap_{of}"] = value - metrics[of] if loop == "closed" else metrics[of] - value
    return metrics | gaps
