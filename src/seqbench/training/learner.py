"""The Lightning module: any model, with any number of seeds, on any task."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, Literal, cast

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ParallelStrategy
from torch import Tensor, nn

from seqbench.models.model import Model
from seqbench.tasks.base import Task
from seqbench.tasks.batch import TEACHER_MASK, Batch
from seqbench.tasks.metrics import Measures
from seqbench.training.batches import TrainingStream
from seqbench.training.execution_mode import ExecutionMode, fastest_mode
from seqbench.training.optimisation import OptimizerConfig
from seqbench.training.parts import Processes, share
from seqbench.training.seed_stack import SeedStack, optimizer_of_all, optimizer_of_one
from seqbench.training.updates import GradientDescent, update_for

#: By the metric's name: its sum over targets, and the sum of their weights, (2, K).
Sums = dict[str, Tensor]


class SequenceLearner(L.LightningModule):
    """Trains the models of K seeds on a task, all at the same step.

    A call of `training_step` takes several optimisation steps, so that they share Lightning's overhead per
    batch; nothing in it waits for the device.

    Attributes:
        step: optimisation steps taken.
        mode: how passes are executed; None until it is measured, when training begins.
        vectorize: whether seeds are vectorised, where that is not left to measurement.
        stream: where the training batches come from, to be set before training.
        resumed: for each model, the checkpoint to continue from.
        best_weights: for each model, the weights to test; empty tests the models as they are.
        evaluation: metrics of the last evaluation, `{metric: value}` for each model.
        tested: for each model, metrics of the test sets, one dict for each of the task's `eval_lengths`.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        task: Task,
        config: OptimizerConfig,
        max_steps: int,
        mode: ExecutionMode | None = None,
        vectorize: bool | Literal["auto"] = "auto",
        accumulate: int = 1,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.stack = SeedStack(models)
        self.task = task
        self.config = config
        self.update = update_for(self.stack, task.targets, config, accumulate)
        self.max_steps = max_steps
        self.step = 0
        self.evaluation: list[dict[str, float]] = []
        self.tested: list[list[dict[str, float]]] = []
        self.mode = mode
        self.vectorize: bool | Literal["auto"] = vectorize
        self.stream: TrainingStream
        self.resumed: list[dict[str, Any]] = []
        self.best_weights: list[dict[str, Tensor]] = []
        self._sums: list[Sums] = []
        self._totals: Tensor | None = None
        self._counted = 0

    # Training

    def configure_optimizers(self) -> torch.optim.Optimizer:
        # Only now are the models on their device and of their type.
        if self.resumed:
            for model, checkpoint in zip(self.stack.models, self.resumed, strict=True):
                model.load_state_dict(checkpoint["model"])
        if len(self.stack) > 1 or (self.mode is not None and self.mode.vectorized):
            self.stack.stack_parameters()
        optimizer = self.config.build(self.stack.trainable() or [nn.Parameter(torch.zeros(()))])
        if self.resumed:
            optimizer.load_state_dict(self._join([checkpoint["optimizer"] for checkpoint in self.resumed]))
        self.resumed = []
        return optimizer

    def on_train_start(self) -> None:
        trainer = self.trainer
        add = partial(trainer.strategy.reduce, reduce_op="sum")
        self.update.processes = Processes(self.global_rank, trainer.world_size, cast(Any, add))
        if not isinstance(self.update, GradientDescent) or (self.mode is None and trainer.world_size > 1):
            self.mode = ExecutionMode(False, self.stack.engine)
        elif self.mode is None:
            batch = self.transfer_batch_to_device(self.stream.example(), self.device, 0)
            with trainer.precision_plugin.train_step_context():
                batch = trainer.precision_plugin.convert_input(batch)
                self.mode = fastest_mode(self.update, batch, self.max_steps - self.step, self.vectorize)
        assert self.mode is not None
        self.stack.set_mode(*self.mode)

    def zero_grad(self, set_to_none: bool = True) -> None:
        # Lightning calls it too, and stacked gradients must keep their storage.
        self.stack.zero_grad(set_to_none)

    def optimizer_states(self) -> list[dict[str, Any]]:
        """Return the optimiser's state for each seed, as if it were alone."""
        state = self.trainer.optimizers[0].state_dict()
        if not self.stack.is_stacked:
            return [state]
        return [optimizer_of_one(state, k) for k in range(len(self.stack))]

    def select(self, rows: Sequence[int]) -> None:
        """Continue with the seeds of these rows alone, and with their part of the optimiser's state."""
        states = self.optimizer_states()
        self.stack.select(rows)
        self.stream.select(rows)
        optimizer = self.trainer.optimizers[0]
        optimizer.param_groups[0]["params"] = self.stack.trainable()
        optimizer.state.clear()
        optimizer.load_state_dict(self._join([states[k] for k in rows]))

    def _join(self, states: list[dict[str, Any]]) -> dict[str, Any]:
        return optimizer_of_all(states) if self.stack.is_stacked else states[0]

    def training_step(self, batches: list[Batch], batch_idx: int) -> dict[str, Tensor] | None:
        totals = None
        optimizer = cast(LightningOptimizer, self.optimizers())
        for batch in batches:
            for group in optimizer.param_groups:
                group["lr"] = self.config.lr_at(self.step, self.max_steps)
            totals = self.update.step(batch, cast(Any, optimizer), self._backward)
            self.step += 1
            if totals is not None:
                self._totals = totals if self._totals is None else self._totals + totals
                self._counted += 1
        return None if totals is None else {"loss": totals[0].mean()}  # for the user's callbacks

    def _backward(self, loss: Tensor) -> None:
        # Lightning would average gradients over processes in each pass; the update adds them up once a step.
        strategy = self.trainer.strategy
        alone = strategy.block_backward_sync() if isinstance(strategy, ParallelStrategy) else nullcontext()
        with alone:
            self.manual_backward(loss)

    def take_training_means(self) -> list[dict[str, float]]:
        """Return the mean loss and gradient norm, for each model, of the steps since the last call."""
        if self._totals is None:
            return [{} for _ in range(len(self.stack))]
        losses, norms = (self._totals / self._counted).tolist()
        self._totals, self._counted = None, 0
        return [{"train_loss": loss, "gradient_norm": norm} for loss, norm in zip(losses, norms, strict=True)]

    # Evaluation

    def on_validation_epoch_start(self) -> None:
        self._sums = []
        self.update.before_evaluation()

    def on_test_start(self) -> None:
        if self.best_weights:
            for model, weights in zip(self.stack.models, self.best_weights, strict=True):
                model.load_state_dict(weights)
        self.stack.set_mode(*(self.mode or ExecutionMode(False, None)))
        if self.stack.vectorized:  # the models may have moved since they were trained
            self.stack.stack_parameters()

    def on_test_epoch_start(self) -> None:
        self._sums = []

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._measure(batch, dataloader_idx)

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._measure(batch, dataloader_idx)

    def on_validation_epoch_end(self) -> None:
        self.evaluation = self._means(self._sums[0])
        if len(self.stack) == 1:  # for the user's callbacks, which read trainer.callback_metrics
            self.log_dict({f"val_{name}": value for name, value in self.evaluation[0].items()}, logger=False)

    def on_test_epoch_end(self) -> None:
        by_length = [self._means(sums) for sums in self._sums]
        self.tested = [[means[k] for means in by_length] for k in range(len(self.stack))]

    def _measure(self, batch: Batch, index: int) -> None:
        """Add what is measured on a batch to the sums of the `index`-th set."""
        rows = share(len(batch.inputs), self.global_rank, self.trainer.world_size)
        mine = batch.rows(rows.start, rows.stop)
        counts = len(mine.inputs) > 0
        if not counts:  # fewer sequences than processes: this one measures a row that does not count
            mine = batch.rows(0, 1)
        while index >= len(self._sums):
            self._sums.append({})
        sums = self._sums[index]
        # Vectorised models share the memory that a single model has for a whole batch.
        parts = mine.split(-(-len(mine.inputs) // len(self.stack))) if self.stack.vectorized else [mine]
        for part in parts:
            for name, (values, weights) in self._measures(part).items():
                dtype = torch.promote_types(values.dtype, torch.float32)  # half precision is too coarse
                both = torch.stack([values * weights, weights]).to(dtype).flatten(2).sum(2) * counts
                sums[name] = both + sums[name] if name in sums else both

    def _measures(self, batch: Batch) -> Measures:
        """Return the measures of every model in the loop in which it is used, and in the other one.

        A model of a task with a horizon is used with true inputs, and `closed_…` is measured where it goes on
        with its own outputs. A model that feeds back its outputs is used without the truth, and `open_…` is
        measured with it.
        """
        task = self.task
        rows, steps = batch.inputs.shape[:2]
        if task.horizon:
            measures: Measures = self.stack.map(task.measure, batch, shared=True)
            t = torch.arange(steps, device=batch.inputs.device)
            truth = (t <= steps - task.horizon).expand(rows, steps)
            batch = batch.with_extras(**{TEACHER_MASK: truth})
            closed: Measures = self.stack.map(task.measure_closed, batch, shared=True)
            return measures | closed
        if cast(Model, self.stack.models[0]).feeds_back:
            with_truth: Measures = self.stack.map(task.measure, batch, shared=True)
            nowhere = torch.zeros(batch.targets.shape[:2], dtype=torch.bool, device=batch.inputs.device)
            batch = batch.with_extras(**{TEACHER_MASK: nowhere})
            measures = self.stack.map(task.measure, batch, shared=True)
            return measures | {f"open_{name}": both for name, both in with_truth.items()}
        return cast(Measures, self.stack.map(task.measure, batch, shared=True))

    def _means(self, sums: Sums) -> list[dict[str, float]]:
        found: dict[str, list[float]] = {}
        for name, both in sums.items():
            total, weight = cast(Tensor, self.trainer.strategy.reduce(both, reduce_op="sum"))
            found[name] = (total / weight).tolist()
        per_model = [{name: values[k] for name, values in found.items()} for k in range(len(self.stack))]
        return [with_gaps(self.task.summary(metrics)) for metrics in per_model]


def with_gaps(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics with what each loses from the open to the closed loop, where both are measured."""
    gaps = {}
    for name, value in metrics.items():
        loop, _, of = name.partition("_")
        if loop in ("closed", "open") and of in metrics:
            gaps[f"gap_{of}"] = value - metrics[of] if loop == "closed" else metrics[of] - value
    return metrics | gaps
