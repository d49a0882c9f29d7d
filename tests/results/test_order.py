"""The order of models in a table."""

from dataclasses import replace

import pytest
from handmade import failed, run

from seqbench.errors import ConfigError
from seqbench.results.frame import compare, records
from seqbench.results.html.headline import ranking
from seqbench.results.order import ORDERS, in_order
from seqbench.results.rendering.blocks import blocks
from seqbench.runs.result import Result
from seqbench.tasks.metrics import share


def of(model: str, value: float, solved_at: int | None, parameters: int) -> list[Result]:
    return [
        run(model=model, length=n, seed=s, value=value, solved_at=solved_at, parameters=parameters)
        for n in (50, 100)
        for s in range(3)
    ]


RUNS = [
    *of("a", 0.3, None, 30),
    *of("b", 0.1, 200, 20),
    *of("c", 0.2, 100, 10),
    failed(model="d"),
]


@pytest.mark.parametrize(
    ("by", "order"),
    [
        ("model", "abcd"),
        ("metric", "bcad"),
        ("solve_rate", "bcad"),
        ("steps", "cbad"),
        ("parameters", "cbad"),
    ],
)
def test_the_best_is_first_and_what_has_no_value_last(by: str, order: str) -> None:
    (block,) = blocks(in_order(compare(RUNS), by))
    assert "".join(block.table.index) == order + "baseline"
    assert list(block.table.columns[:2]) == ["50", "100"]


def test_the_greatest_length_decides_and_the_metric_has_a_direction() -> None:
    def cell(model: str, length: int, value: float) -> Result:
        metric = {"metric": "f1", "metrics": {"f1": share("f1")}}
        return run(model=model, length=length, test={str(length): {"f1": value}}, **metric)

    cells = [cell("a", 50, 0.9), cell("a", 100, 0.2), cell("b", 50, 0.1), cell("b", 100, 0.3)]
    (block,) = blocks(in_order(compare(cells), "metric"))
    assert block.table.index.tolist() == ["b", "a"]


def test_a_model_of_which_most_runs_diverge_is_not_the_best() -> None:
    """The median of those that are left says nothing of the next seed."""
    luck = [run(model="luck", seed=s, value=1e-6, status="diverged" if s else "solved") for s in range(5)]
    some = [run(model="some", seed=s, value=1e-5, status="diverged" if s > 3 else "solved") for s in range(5)]
    sure = [run(model="sure", seed=s, value=1e-3) for s in range(5)]
    for its in (luck, some, sure):
        its[:] = [replace(each, solved_when=None) for each in its]
    comparison = compare([*luck, *some, *sure])
    (block,) = blocks(in_order(comparison, "metric"))
    assert block.table.index.tolist()[:3] == ["some", "sure", "luck"]
    assert ranking(records(comparison.frame), solvable=False) == ["some", "sure", "luck"]


def test_another_order_is_refused() -> None:
    assert set(ORDERS) == {"model", "metric", "solve_rate", "steps", "parameters"}
    with pytest.raises(ConfigError, match=r"--sort=paramters must be one of .*Did you mean 'parameters'\?"):
        in_order(compare(RUNS), "paramters")
