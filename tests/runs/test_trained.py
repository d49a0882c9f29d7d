"""A trained run is opened with its own configuration and the weights of its best evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

import seqbench
from seqbench.config.build import build_model, build_task
from seqbench.config.compose import compose
from seqbench.errors import ConfigError, StoreError
from seqbench.runs.trained import load_run

TINY = ["task=latch", "task.length=5", "task.eval_size=8", "model=rnn", "model.hidden_size=3", "batch_size=4"]


def test_a_run_is_opened_as_it_was_left():
    seqbench.train(
        compose([*TINY, "trainer.max_steps=2", "trainer.eval_every=1", "logger=none", "n_seeds=2"])
    )
    folder = next(Path("runs").glob("*/*/seed-1"))
    before = torch.get_rng_state()
    name, cfg, task, model = load_run(folder)
    assert torch.equal(torch.get_rng_state(), before)
    assert (name, cfg.seed, cfg.task.length, task.length) == (folder.parent.name, 1, 5, 5)
    best = torch.load(folder / "checkpoints" / "best.pt")
    assert list(best) == list(model.state_dict())
    assert all(torch.equal(best[key], part) for key, part in model.state_dict().items())


def test_a_damaged_run_or_another_is_refused():
    folder = Path("rnn-0/seed-0")
    with pytest.raises(StoreError, match=r"^rnn-0/seed-0 is not the folder of a trained run: .*config.yaml"):
        load_run(folder)
    best = folder / "checkpoints" / "best.pt"
    best.parent.mkdir(parents=True)
    cfg = compose(TINY)
    OmegaConf.save(cfg, folder / "config.yaml")
    weights = build_model(cfg, build_task(cfg)).state_dict()
    torch.save(weights | {"other": torch.zeros(1)}, best)
    with pytest.raises(ConfigError, match=r"^rnn-0: Error\(s\) in loading state_dict for SequenceModel"):
        load_run(folder)
    best.write_bytes(b"no weights")
    with pytest.raises(StoreError, match="is not a file of weights that a run wrote"):
        load_run(folder)
