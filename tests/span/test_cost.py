"""What a step costs: counted once, kept, and not known where it cannot be counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from seqbench.config import trust
from seqbench.config.compose import compose
from seqbench.errors import ConfigError
from seqbench.runs.result import Result
from seqbench.span import cost
from seqbench.span.cost import Costs, span_of
from tests.payloads import TINY, write
from tests.runs.handmade import result

MINE = "from seqbench.tasks.synthetic.latch import Latch\nclass Mine(Latch): pass\n"


def run(*typed: str) -> Result:
    """Return a run of a tiny configuration."""
    config: Any = OmegaConf.to_container(compose([*TINY, *typed]), resolve=True)
    return result(config=config, task="latch", model="rnn")


@pytest.mark.usefixtures("nothing_runs")
def test_the_packages_of_a_run_count_if_the_user_allowed_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("mypackage.py", MINE)
    its = run("task._target_=mypackage.Mine", "allowed_packages=[mypackage]")
    span = span_of(its.config)
    assert span is not None and span.key == "length"
    assert Costs().of(its) == Costs().of(run())
    monkeypatch.setattr(trust, "_allowed", set())
    with pytest.raises(ConfigError, match=r"mypackage\.Mine is outside the packages allowed"):
        span_of(its.config)
    assert Costs().of(its) is None
    assert (
        "the FLOPs of rnn on latch are not counted: task._target_=mypackage.Mine" in capsys.readouterr().err
    )


def test_what_cannot_be_counted_is_said_and_counted_another_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuses(config: dict[str, Any], engine: object) -> int:
        raise ValueError("Expected more than 1 value per channel")

    costs = Costs(Path("flops.json"))
    monkeypatch.setattr(cost, "_counted", refuses)
    assert costs.of(result()) is None
    costs.keep()
    said = "seqbench: the FLOPs of lstm on adding are not counted: Expected more than 1 value per channel.\n"
    assert capsys.readouterr().err == said
    monkeypatch.setattr(cost, "_counted", lambda config, engine: 7)
    costs = Costs(Path("flops.json"))
    assert costs.of(result()) == 7
    costs.keep()
    monkeypatch.setattr(cost, "_counted", refuses)
    assert Costs(Path("flops.json")).of(result()) == 7


@pytest.mark.parametrize(
    "kept",
    [
        *("", "{", "[]", "{}", "3", '{"counted": 1}', '{"counted": 1, "flops": [3]}'),
        json.dumps({"counted": cost.COUNTED, "flops": {result().identity: "many"}}),
        json.dumps({"counted": cost.COUNTED - 1, "flops": {result().identity: 3}}),
    ],
)
def test_a_file_that_is_damaged_or_of_another_count_is_not_read(
    kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "_counted", lambda config, engine: 7)
    Path("flops.json").write_text(kept)
    assert Costs(Path("flops.json")).of(result()) == 7


def test_a_scan_is_counted_as_it_is_trained() -> None:
    """A loop does the products of attention and of a matrix memory number by number, in part."""
    typed = ("task.length=20", "model=delta_net", "model.hidden_size=8")
    config = run(*typed).config
    by_scan, by_loop = (
        Costs().of(result(lr=place, config=config, execution={"engine": engine}))
        for place, engine in enumerate(("scan", "fused"))
    )
    assert by_scan is not None and by_loop is not None and by_scan > 1.2 * by_loop
