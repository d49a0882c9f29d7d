"""Parts that stand for themselves: scans, feedback, explicit memory, number types, data."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import seqbench
from seqbench.models.cells.feed_forward import FeedForward
from seqbench.models.cells.lru import LRU
from seqbench.models.cells.min_gru import MinGRU
from seqbench.models.memory.ntm import NTM
from seqbench.models.sequence import SequenceModel
from seqbench.models.unfold import unfold
from seqbench.tasks.synthetic.ntm_copy import NTMCopy

from .measure import Settings, steps_in_turn
from .models import ENGINES, has_engine
from .tables import Row


def scan(settings: Settings) -> list[Row]:
    """Linear cells over 4,096 steps, in parallel over time, against nn.GRU; batch 8, 64 units."""
    x = torch.randn(8, 64 if settings.quick else 4096, 64, device=settings.device)
    gru = nn.GRU(64, 64, batch_first=True).to(settings.device)
    steps: dict[str, Any] = {"nn.GRU": lambda: gru(x)[0].sum().backward()}
    for cell in (MinGRU(64, 64).to(settings.device), LRU(64, 64).to(settings.device)):
        steps[type(cell).__name__] = lambda c=cell: unfold(c, x, engine="scan")[0].sum().backward()
    ms = steps_in_turn(steps, settings)
    return [{"cell": name, "ms": value, "to nn.GRU": value / ms["nn.GRU"]} for name, value in ms.items()]


def forcing(settings: Settings) -> list[Row]:
    """A training step of `output_rnn` on 200 steps: all at once with the true outputs, and one by one.

    64 units, an alphabet of 10. `one by one` feeds the same true outputs, `closed loop` its own.
    """
    model = SequenceModel(FeedForward, 10, 10, tokens=True, classes=True, hidden_size=64, feedback=True)
    model = model.to(settings.device)
    length = 20 if settings.quick else 200
    rows: list[Row] = []
    for batch in (1, 8, 32):
        x, y = (torch.randint(10, (batch, length), device=settings.device) for _ in range(2))
        everywhere = torch.ones(batch, length, dtype=torch.bool, device=settings.device)

        def step(mask: Tensor | None, x: Tensor = x, y: Tensor = y) -> None:
            outputs = model(x, targets=y, teacher_mask=mask)[0]
            nn.functional.cross_entropy(outputs.flatten(0, 1), y.flatten()).backward()

        masks = {"all at once": None, "one by one": everywhere, "closed loop": ~everywhere}
        steps = {f"{name}, ms": lambda mask=mask, step=step: step(mask) for name, mask in masks.items()}
        ms = steps_in_turn(steps, settings)
        ratio = ms["one by one, ms"] / ms["all at once, ms"]
        rows.append({"batch": batch, **ms, "one by one to all at once": ratio})
    return rows


def memory(settings: Settings) -> list[Row]:
    """A training step of the Neural Turing Machine on `ntm_copy`: forward, backward, and Adam.

    32 sequences of 8 bits, an LSTM controller of 100 units, 128 words of 20 numbers, a head that reads and
    one that writes. Training draws 1 to 20 vectors, 10.5 in the mean.
    """
    task = NTMCopy()
    engines = [e for e in ENGINES if has_engine(SequenceModel(NTM, 9, 8, hidden_size=100), e)]
    rows: list[Row] = []
    for vectors in (2,) if settings.quick else (10, 20):
        batch = task.draw(torch.Generator().manual_seed(0), 32, vectors)
        batch = batch.map(lambda part: part.to(settings.device))
        steps = {}
        for engine in engines:
            model = SequenceModel(NTM, 9, 8, hidden_size=100, engine=engine).to(settings.device)
            optimizer = torch.optim.Adam(model.parameters(), 1e-3)

            def step(model: Any = model, optimizer: Any = optimizer, batch: Any = batch) -> None:
                optimizer.zero_grad()
                task.targets.loss(model(batch.inputs)[0], batch).backward()
                optimizer.step()

            steps[f"{engine}, ms"] = step
        rows.append({"vectors": vectors, "steps": 2 * vectors + 1, **steps_in_turn(steps, settings)})
    return rows


def precision(settings: Settings) -> list[Row]:
    """What a number type does to a gradient: its distance from float64's, as a share of that one's length.

    bf16-mixed is torch's autocast; the adding problem, batch 32, 64 units, 100 steps.
    """
    rows: list[Row] = []
    for name in settings.cells:
        cfg = seqbench.compose([f"model={name}", "task=adding", f"task.length={settings.point.length}"])
        task = seqbench.build_task(cfg)
        batch = next(task.train_batches(0, 32)).map(lambda part: part.to(settings.device))
        model = seqbench.build_model(cfg, task).to(settings.device)

        def gradient(
            dtype: torch.dtype, autocast: bool, model: Any = model, batch: Any = batch, task: Any = task
        ) -> Tensor:
            model, batch = model.to(dtype), batch.map(lambda part: part.to(dtype))
            model.zero_grad()
            with torch.autocast(settings.device, torch.bfloat16, enabled=autocast):
                loss = task.targets.loss(model(batch.inputs)[0], batch)
            loss.backward()
            return torch.cat([p.grad.flatten() for p in model.parameters()]).double()

        truth = gradient(torch.float64, False)
        kinds = {"32-true": gradient(torch.float32, False), "bf16-mixed": gradient(torch.float32, True)}
        distances = {kind: ((g - truth).norm() / truth.norm()).item() for kind, g in kinds.items()}
        rows.append({"model": name, **distances})
    return rows


def data(settings: Settings) -> list[Row]:
    """Making one step's batch of 32, against a step forward and backward of nn.LSTM (64 units) on it."""
    x = torch.randn(32, 100, 2, device=settings.device)
    lstm = nn.LSTM(2, 64, batch_first=True).to(settings.device)
    rows: list[Row] = []
    for name in ("adding", "copy_memory", "temporal_order", "latch"):
        task = seqbench.build_task(seqbench.compose([f"task={name}", "task.length=100"]))
        stream = task.train_batches(0, 32)
        steps = {"batch": lambda s=stream: next(s), "lstm": lambda: lstm(x)[0].sum().backward()}
        ms = steps_in_turn(steps, settings)
        rows.append({"task": name, "ms": ms["batch"], "to a step": ms["batch"] / ms["lstm"]})
    return rows
