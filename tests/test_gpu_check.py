"""The check of a GPU: its plan, and all of it that goes without a GPU."""

from __future__ import annotations

import dataclasses
import math
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from seqbench.config.presets import preset_names

SCRIPTS = Path(__file__).parents[1] / "scripts"
SCRIPT = SCRIPTS / "gpu_check"


@pytest.fixture(autouse=True)
def _on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the script's parts be imported, as they are when it runs."""
    monkeypatch.syspath_prepend(SCRIPTS)


@pytest.fixture
def script() -> dict[str, Any]:
    """What the script defines."""
    return runpy.run_path(str(SCRIPT))


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_preset_engine_and_part_is_in_the_plan(
    device: str, quick: bool, script: dict[str, Any]
) -> None:
    from gpu.plan import SMALL, TASKS, plan

    its = plan(device, quick)
    assert [*its.models] == preset_names("model")
    assert {*its.models.values()} <= {*TASKS} and {*SMALL} <= {*its.models}
    assert {*its.memory_of, *its.speed_of, *its.ddp_of, *its.graphs_of} <= {*its.models}
    assert {*its.engines} == {"native", "scan", "loop"} | ({"fused"} if device == "cpu" else set())
    assert its.tolerances == {torch.float64: 1e-9, torch.float32: 1e-4}
    assert {*its.left_out} <= {*script["PARTS"]} and ("graphs" in its.left_out) == (device == "cpu")
    if not quick:
        assert its.lengths == (1000, 4000) and its.half_steps == 20
        assert its.speeds == ((32, 100, 64), (256, 100, 256))


@pytest.mark.slow
def test_a_step_that_is_replayed_is_compared_with_an_eager_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a GPU captures a step, a CPU takes it."""
    from gpu import graphs
    from gpu.plan import plan

    def captured(step: Callable[[], object]) -> Callable[[], object]:
        for _ in range(graphs.WARM_UP):
            step()
        return step

    monkeypatch.setattr(graphs, "captured", captured)
    its = plan("cpu", quick=True)
    assert graphs.engines(its, "ntm") == ["loop"] and graphs.engines(its, "memn2n") == [None]
    assert graphs.engines(its, "min_gru")[-1] == "loop" and len(graphs.engines(its, "min_gru")) == 2
    found = graphs.graph(its, "gru", "loop")
    assert found["captured"] == "yes" and found["distance"] == 0.0
    assert graphs.graph(its, "echo_state", "loop")["captured"] == "no: it solves for its readout"
    monkeypatch.setattr(graphs, "copy_into", lambda static, batch: None)  # a graph that reads other memory
    assert graphs.graph(its, "gru", "loop")["distance"] > 1e-4


def test_the_distance_of_two_lists_of_tensors() -> None:
    from gpu.outcome import distance

    one = [torch.tensor([1.0, 2.0]), torch.tensor([0, 3])]
    assert distance(one, one) == 0
    assert distance([torch.tensor([1.0, 100.0])], [torch.tensor([1.0, 200.0])]) == 0.5
    assert distance([torch.tensor([0.25j])], [torch.tensor([0.0j])]) == 0.25
    assert distance([torch.tensor([math.nan])], [torch.tensor([1.0])]) == math.inf
    assert distance([torch.tensor([math.nan, math.inf])], [torch.tensor([math.nan, math.inf])]) == 0
    assert distance([torch.empty(0)], [torch.empty(0)]) == 0


def test_a_page_keeps_all_but_the_section(tmp_path: Path) -> None:
    import json

    from gpu.outcome import Outcome
    from gpu.page import write

    stem = tmp_path / "speed"
    before, after = "# Speed\n\n## cells\n\n| a |\n", "## scan\n\n### GPU\n\nkept\n"
    facts = {"device": "A card", "driver": "1.2", "command": "scripts/gpu_check"}
    outcomes = {
        "speed": Outcome(rows=[{"model": "gru", "1 seed": 2.0}]),
        "parity": Outcome(rows=[{"model": "gru"}], failed=["gru is wrong", "so is lstm"]),
    }
    for old in ("## GPU\n\nold\n\n### speed\n\nold\n\n", ""):
        stem.with_suffix(".md").write_text(f"{before}\n{old}{after}")
        for _ in range(2):  # the second finds what the first has written
            write(stem, outcomes, facts, {"speed": "What it shows.", "parity": ""})
        page = stem.with_suffix(".md").read_text()
        assert page.startswith(before) and after.strip() in page
        assert page.count("\n## GPU\n") == 1 and "old" not in page
        assert "Card: A card; driver 1.2.\n" in page and "| gru     |        2 |" in page
        assert "gru is wrong, and 1 more" in page
    found = json.loads((tmp_path / "speed-gpu.json").read_text())
    assert found["driver"] == "1.2" and found["parity"]["failed"] == ["gru is wrong", "so is lstm"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--device", "cuda"], "torch finds no GPU here"),
        (["--device", "cpu", "--quick", "--out", "speed"], "--out writes what a GPU costs"),
        (["colour"], "invalid choice: 'colour'"),
    ],
)
def test_bad_input_is_one_sentence(
    args: list[str],
    said: str,
    script: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu_check", *args])
    with pytest.raises(SystemExit) as end:
        script["main"]()
    assert end.value.code == 2 and said in capsys.readouterr().err


@pytest.mark.slow
def test_seeds_together_are_compared_where_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, but that a CPU computes."""
    from gpu import runs
    from gpu.plan import Size, plan
    from seqbench.runs import plan as plans
    from seqbench.training.execution_mode import ExecutionMode

    def execution_mode(*args: Any, **options: Any) -> ExecutionMode:
        return ExecutionMode("loop", vectorized=args[2].seeds_together is True)

    monkeypatch.setattr(plans, "execution_mode", execution_mode)
    monkeypatch.setenv(runs.WORKSPACE, "")  # the part sets it
    # With 7 units, as the plan has, a CPU's product of a stack rounds each row as it lies in memory; no run
    # takes stacks there.
    its = dataclasses.replace(
        plan("cpu", quick=True), models={"leaky_rnn": "sequence"}, small=Size(32, 16, 8)
    )
    for part in (runs.seeds, runs.resume):
        assert part(its).failed == []
        assert part(its).rows == [
            {
                "model": "leaky_rnn",
                "by rule": "engine loop: the same bits",
                "together": "seeds vectorized, engine loop: the same bits",
            }
        ]
    monkeypatch.setattr(runs, "_differences", lambda one, other: ["metrics.csv: loss at step 2", "another"])
    failed = runs.resume(its).failed
    assert failed[0] == "leaky_rnn, by rule (engine loop): metrics.csv: loss at step 2, and 1 more"
    assert len(failed) == 2

    def fail(cfg: Any) -> None:
        if cfg.trainer.seeds_together is True:
            raise runs.RunError(f"an_operation {runs.CANNOT[0]}")
        raise runs.RunError("no")

    monkeypatch.setattr(runs, "plan_of_runs", fail)
    outcome = runs.resume(its)
    assert outcome.failed == ["leaky_rnn, by rule: no"]
    assert outcome.rows[0]["together"] == f"cannot: an_operation {runs.CANNOT[0]}"


@pytest.mark.slow
def test_what_becomes_of_a_process_is_said() -> None:
    from gpu.outcome import ProcessError, apart

    assert apart(divmod, 7, 2, seconds=60) == (3, 1)
    for function, argument, seconds, said in [
        (math.sqrt, -1, 60, "math domain error|nonnegative"),
        (os._exit, 3, 60, "exit code 3"),
        (time.sleep, 60, 0.2, "more than 0 s"),
    ]:
        with pytest.raises(ProcessError, match=said):
            apart(function, argument, seconds=seconds)


@pytest.mark.slow
def test_all_parts_go_through_on_a_cpu() -> None:
    command = [sys.executable, SCRIPT, "--device", "cpu", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    table = [line.split("|")[1:3] for line in done.stdout.split("| part")[-1].splitlines() if "|" in line]
    outcomes = {part.strip(): outcome.strip() for part, outcome in table[2:]}
    assert outcomes.pop("graphs") == "left out: a CPU has no CUDA graphs"
    assert outcomes == dict.fromkeys(("parity", "seeds", "resume", "ddp", "memory", "half", "speed"), "ok")
    for preset in preset_names("model"):
        assert done.stdout.count(f"| {preset} ") >= 4, preset
