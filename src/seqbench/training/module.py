"""The Lightning module: any model on any task."""

from __future__ import annotations

from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torchmetrics import MeanMetric

from seqbench.tasks.base import Batch, Task
from seqbench.training.optim import Recipe


class SequenceLearner(L.LightningModule):
    """Trains a model on a task by a recipe.

    A call of `training_step` takes several optimisation steps, so that Lightning's cost per batch is shared
    among them; nothing in it waits for the device.

    Attributes:
        step: optimisation steps done.
        evaluation: metrics of the last evaluation, `{metric: value}`.
        tested: metrics of the test sets, one dict for each of the task's `eval_lengths`.
    """

    def __init__(self, model: nn.Module, task: Task, recipe: Recipe, max_steps: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.task = task
        self.recipe = recipe
        self.max_steps = max_steps
        self.step = 0
        self.evaluation: dict[str, float] = {}
        self.tested: list[dict[str, float]] = []
        self.resumed_optimizer: dict[str, Any] | None = None
        self._measured: list[dict[str, MeanMetric]] = []
        self._totals: Tensor | None = None
        self._counted = 0

    def forward(self, batch: Batch) -> Tensor:
        """Return the model's outputs for a batch."""
        outputs: Tensor = self.model(batch.inputs, batch.lengths)[0]
        return outputs

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimizer = self.recipe.build(self.model.parameters())
        if self.resumed_optimizer is not None:
            optimizer.load_state_dict(self.resumed_optimizer)
        return optimizer

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        optimizer = cast(LightningOptimizer, self.optimizers())
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for batch in batches:
            batch = self._share(batch)
            for group in optimizer.param_groups:
                group["lr"] = self.recipe.lr_at(self.step, self.max_steps)
            loss = self.task.targets.loss(self(batch), batch)
            optimizer.zero_grad()
            self.manual_backward(loss)
            norm = self.recipe.clip(parameters)
            optimizer.step()
            self.step += 1
            totals = torch.stack([loss.detach(), norm.detach()])
            self._totals = totals if self._totals is None else self._totals + totals
            self._counted += 1

    def _share(self, batch: Batch) -> Batch:
        """Return this process's part of a batch that all share."""
        if self.trainer.world_size == 1:
            return batch
        size = -(-len(batch.inputs) // self.trainer.world_size)
        return batch.rows(self.global_rank * size, (self.global_rank + 1) * size)

    def take_training_means(self) -> dict[str, float]:
        """Return the mean loss and gradient norm of the steps since the last call."""
        if self._totals is None:
            return {}
        means = self.trainer.strategy.reduce(self._totals / self._counted, reduce_op="mean")
        loss, norm = cast(Tensor, means).tolist()
        self._totals, self._counted = None, 0
        return {"train_loss": loss, "gradient_norm": norm}

    def on_validation_epoch_start(self) -> None:
        self._measured = []

    def on_test_epoch_start(self) -> None:
        self._measured = []

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._measure(batch, dataloader_idx)

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._measure(batch, dataloader_idx)

    def on_validation_epoch_end(self) -> None:
        (self.evaluation,) = self._compute()

    def on_test_epoch_end(self) -> None:
        self.tested = self._compute()

    def _measure(self, batch: Batch, index: int) -> None:
        batch = self._share(batch)
        if not len(batch.inputs):  # fewer sequences than processes
            return
        while index >= len(self._measured):
            self._measured.append({})
        for name, (values, weights) in self.task.measure(self(batch), batch).items():
            if name not in self._measured[index]:
                # A NaN must stay one: it is how a diverged run shows.
                self._measured[index][name] = MeanMetric(nan_strategy="disable").to(self.device)
            self._measured[index][name].update(values.float(), weights.float())

    def _compute(self) -> list[dict[str, float]]:
        return [{name: float(m.compute()) for name, m in metrics.items()} for metrics in self._measured]
