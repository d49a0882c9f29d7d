"""A Lightning callback of one's own, which observes."""

from __future__ import annotations

import lightning as L


class Watch(L.Callback):
    """Keeps the validation loss at each evaluation."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.losses.append(float(trainer.callback_metrics["val_loss"]))
