"""What one would write in bare PyTorch: torch's own modules, or a loop where there is none."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .measure import Point
from .models import Data
from .step import OPTIMIZER, squared_error

MODULES: dict[str, type[nn.Module]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Leaky(nn.Module):
    """Leaky units as one would write them: a Python loop over unbind."""

    def __init__(self, inputs: int, width: int, batch_first: bool = True) -> None:
        super().__init__()
        self.input, self.recurrent = nn.Linear(inputs, width), nn.Linear(width, width, bias=False)
        self.alpha: Tensor
        self.register_buffer("alpha", torch.rand(width))

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """Return the outputs (B, T, H)."""
        h, outputs = x.new_zeros(len(x), self.recurrent.in_features), []
        for projected in self.input(x).unbind(1):
            h = self.alpha * h + (1 - self.alpha) * torch.tanh(projected + self.recurrent(h))
            outputs.append(h)
        return torch.stack(outputs, dim=1), None


class Bare(nn.Module):
    """A recurrent module and a readout of its last output."""

    def __init__(self, name: str, inputs: int, width: int) -> None:
        super().__init__()
        self.body = MODULES.get(name, Leaky)(inputs, width, batch_first=True)
        self.readout = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (B, 1)."""
        return self.readout(self.body(x)[0][:, -1])


def training_step(name: str, point: Point, data: Data, device: str) -> Callable[[], Tensor]:
    """Return a function that takes an optimisation step of a new model, with torch's fastest Adam."""
    x = data.arguments["inputs"]
    model = Bare(name, x.shape[-1], point.width).to(device)
    optimizer = torch.optim.Adam(model.parameters(), OPTIMIZER.lr, fused=True)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = squared_error(model(x), data.targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return step
