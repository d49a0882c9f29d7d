"""The execution mode: by rule, from the configuration and the kind of device."""

from __future__ import annotations

import pytest
import torch

import seqbench
from seqbench.config.build import build_optimizer_config, build_settings
from seqbench.errors import ConfigError
from seqbench.training.execution_mode import ExecutionMode, execution_mode

LATCH = ("task=latch", "task.length=6", "model.hidden_size=4")


def mode_of(*overrides: str, device: str = "cpu", **options) -> ExecutionMode:
    cfg = seqbench.compose(overrides)
    with torch.device("meta"):
        model = seqbench.build_model(cfg, seqbench.build_task(cfg))
    settings, optimizer = build_settings(cfg), build_optimizer_config(cfg)
    return execution_mode(model, optimizer, settings, device=device, name=cfg.preset.model, **options)


@pytest.mark.slow
def test_on_a_cpu_every_seed_has_a_pass_of_its_own() -> None:
    for model in ("rnn", "leaky_rnn", "lstm", "lru"):
        assert not mode_of(*LATCH, f"model={model}").vectorized


def test_on_a_gpu_seeds_share_one_where_cells_have_no_kernel_of_torchs_own() -> None:
    assert mode_of(*LATCH, "model=leaky_rnn", device="cuda") == ExecutionMode("loop", vectorized=True)
    assert mode_of(*LATCH, "model=lstm", device="cuda") == ExecutionMode("native")
    assert mode_of(*LATCH, "model=lstm", "trainer.seeds_together=true", device="cuda") == ExecutionMode(
        "loop", vectorized=True
    )
    assert mode_of(*LATCH, "model=lru", "trainer.seeds_together=false", device="cuda") == ExecutionMode(
        "scan"
    )


@pytest.mark.parametrize(
    ("overrides", "options", "because"),
    [
        (["model=rnn"], {"device": "cpu"}, "on a CPU each seed has a pass of its own"),
        (["model=rnn"], {"processes": 2}, "the devices share the batches of one seed"),
        (["model=rnn"], {"observed": True}, "callbacks see one seed each"),
        (["model=rnn", "optim=sgd_omega"], {}, "optim.omega takes every model by itself"),
        (["model=echo_state"], {}, "echo_state solves for its readout"),
        (["model=rnn", "model.engine=native"], {}, "vmap has no rule for model.engine=native"),
        (
            ["model=rnn", "optim.optimizer._target_=torch.optim.NAdam"],
            {},
            "the optimiser does not treat each number by itself",
        ),
    ],
)
def test_what_cannot_share_a_pass_is_refused_where_it_is_asked_for(
    overrides: list[str], options: dict, because: str
) -> None:
    given = [*LATCH, *overrides]
    options = {"device": "cuda"} | options
    assert not mode_of(*given, **options).vectorized
    with pytest.raises(ConfigError, match=f"trainer.seeds_together=true cannot be, because {because}; leave"):
        mode_of(*given, "trainer.seeds_together=true", **options)


@pytest.mark.slow
def test_the_engine_is_that_of_every_body() -> None:
    assert mode_of(*LATCH, "model=leaky_rnn").engine == "fused"
    assert mode_of(*LATCH, "model=lru").engine == "scan"
    assert mode_of(*LATCH, "model=lstm", "trainer.precision=bf16-true").engine == "native"
    assert mode_of(*LATCH, "model=lru", "+model.checkpoint_steps=2").engine == "loop"
    assert mode_of(*LATCH, "model=gru", "model.bidirectional=true", "model.engine=loop").engine == "loop"
    assert mode_of("task=reverse", "model=seq2seq", "model.hidden_size=4").engine is not None
    assert mode_of("task=stories", "model=memn2n").engine is None


@pytest.mark.parametrize("precision", ["bf16-true", "16-true"])
@pytest.mark.parametrize(("model", "cell"), [("lru", "LRU"), ("s5", "S5"), ("s4d", "S4D")])
def test_a_complex_state_has_no_half_precision(model: str, cell: str, precision: str) -> None:
    given = (*LATCH, f"model={model}")
    with pytest.raises(ConfigError, match=f"^trainer.precision={precision}: the state of {cell} is complex"):
        mode_of(*given, f"trainer.precision={precision}")
    assert mode_of(*given, "trainer.precision=bf16-mixed").engine == "scan"


def test_what_is_plain_is_not_in_the_identity() -> None:
    assert ExecutionMode("loop").canonical == {"engine": "loop"}
    assert ExecutionMode().canonical == {}
    given = {"engine": "scan", "vectorized": True, "threads": 2, "devices": 3}
    assert ExecutionMode(**given).canonical == given


def test_a_number_of_threads_counts() -> None:
    assert mode_of(*LATCH, "trainer.num_threads=3").threads == 3


def test_a_mode_is_named() -> None:
    assert str(ExecutionMode("loop")) == "engine loop"
    assert str(ExecutionMode("loop", True)) == "seeds vectorized, engine loop"
    assert str(ExecutionMode(None, threads=2, devices=3)) == "2 threads, 3 devices"
    assert str(ExecutionMode()) == "eager"


def test_what_is_looked_up_and_what_is_computed_is_part_of_the_mode():
    large, small = ("task=mqar", "model=lstm"), ("task=mqar", "task.vocabulary=64", "model=lstm")
    assert mode_of(*large, device="cuda").canonical == {"engine": "native", "lookup": True, "counted": True}
    assert mode_of(*small, device="cuda").canonical == {"engine": "native"}


def test_complex_weights_are_of_single_precision_alone() -> None:
    cfg = seqbench.compose([*LATCH, "model=rnn"])
    model = seqbench.build_model(cfg, seqbench.build_task(cfg))
    model.turns = torch.nn.Parameter(torch.ones(3, dtype=torch.complex64))
    for precision in ("64-true", "bf16-true", "16-true"):
        cfg = seqbench.compose([*LATCH, "model=rnn", f"trainer.precision={precision}"])
        with pytest.raises(ConfigError, match=f"^trainer.precision={precision} .* and turns is complex"):
            execution_mode(model, build_optimizer_config(cfg), build_settings(cfg), device="cpu", name="rnn")
