"""Tables and figure from records alone are those of the command."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from seqbench.errors import ConfigError, StoreError
from seqbench.results.spans.formats import texts
from seqbench.results.spans.tables import protocol_lines
from seqbench.runs.result import Result
from seqbench.runs.store import parse
from seqbench.span.cost import Costs
from seqbench.span.records import from_results, from_span_json
from tests.runs.handmade import result
from tests.span.fake import Runner, solves_up_to

TYPED = ("task=latch", "trainer.max_steps=1000", "logger=none")
SUFFIXES = ("md", "csv", "tex", "json")
TRAINER = {"max_steps": 1000, "eval_every": 50, "patience": None, "stop_when_solved": True}
TARGETS = {"latch": "latch.Latch", "time_warp": "time_warp.TimeWarp", "ntm_copy": "ntm_copy.NTMCopy"}


class Uncounted(Costs):
    """Knows no operations."""

    def of(self, result: Result) -> None:
        """Return that they are not known."""


def exported(seqbench: Any) -> list[Result]:
    """Return the runs of `runs` as they travel, with one of another table."""
    assert seqbench("runs", "export", "runs.jsonl").code == 0
    lines = Path("runs.jsonl").read_text().splitlines()
    return [*(parse(line, "runs.jsonl") for line in lines), result(3, model="lstm")]


def page() -> dict[str, str]:
    """Return the page that the command wrote."""
    return {suffix: Path(f"span.{suffix}").read_text() for suffix in SUFFIXES}


def again(index: str, records: Sequence[Result]) -> dict[str, str]:
    """Return the page from its index and records."""
    told = json.loads(index)
    return texts(from_span_json(told, records), told["command"], told["made_with"])


def sweep(
    spans: Sequence[int],
    lr: float = 0.01,
    n: int = 3,
    task: str = "latch",
    settings: dict[str, Any] | None = None,
    trainer: dict[str, Any] | None = None,
    **fields: Any,
) -> list[Result]:
    """Return runs of gru with the same seeds at each span, all of which solve the task."""
    found = []
    for span in spans:
        of_task = {
            "_target_": f"seqbench.tasks.synthetic.{TARGETS[task]}",
            "length": span,
            **(settings or {}),
        }
        config = {
            "batch_size": 32,
            "task": of_task,
            "optim": {"lr": lr},
            "trainer": TRAINER | (trainer or {}),
        }
        identity = hashlib.sha256(ascii((config, sorted(fields.items()))).encode()).hexdigest()
        found += [
            result(
                seed,
                task=task,
                model="gru",
                config=config | {"seed": seed},
                **{"identity": identity, "hash": identity[:8], "solved_at_step": 100, **fields},
            )
            for seed in range(n)
        ]
    return found


def test_an_exported_file_makes_the_same_page(seqbench: Any, runner: Callable[..., Runner]) -> None:
    runner(solves_up_to(rnn=30, gru=90))
    Path("entrants.txt").write_text("model=rnn\nlabel=tuned model=gru optim.lr=0.01\n")
    assert seqbench("span", *TYPED, "--jobs", "entrants.txt", "--out", ".").code == 0
    assert again(Path("span.json").read_text(), exported(seqbench)) == page()


@pytest.mark.slow
def test_a_page_has_the_runs_of_its_index_and_lacks_what_it_lacks(
    seqbench: Any, runner: Callable[..., Runner]
) -> None:
    def ends(model: str, span: int, k: int) -> dict[str, Any]:
        failed = {"status": "failed", "error": "RuntimeError: boom", "solved_at_step": None}
        return failed if (span, k) == (40, 2) else solves_up_to(rnn=30)(model, span, k)

    runner(ends)
    typed = ("span", *TYPED, "model=rnn", "n_seeds=3", "--out", ".")
    assert seqbench(*typed).code == 1
    before = page()
    assert "*" in before["md"] and "rnn on latch at 40 lacks 1 run, which failed." in before["md"]
    assert seqbench(*typed, "n_seeds=6").code == 1
    records = exported(seqbench)
    assert again(before["json"], records) == before
    assert again(page()["json"], records) == page() != before
    lost = [each for each in records if each.seed != 1_020_001]
    with pytest.raises(StoreError, match=r"latch/rnn-\w+/seed-1020001, a run of rnn on latch, is not among"):
        again(before["json"], lost)


@pytest.mark.parametrize("told", [{}, {"entrants": [{}]}, {"entrants": [{"protocol": {"task": "latch"}}]}])
def test_an_index_of_something_else_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="the index of spans is damaged, or was written by another version"):
        from_span_json(told, [])


def test_without_an_index_entrants_are_models_with_the_settings_that_differ() -> None:
    slow, fast = sweep([10, 20], n=5), sweep([40, 80], lr=0.1)
    found = from_results([*fast, *slow], Uncounted())
    assert {each.label: [at.span for at in each.spans] for each in found} == {
        "gru (lr=0.1)": [40, 80],
        "gru (lr=0.01)": [10, 20],
    }
    said: list[str] = []
    (one,) = from_results([*sweep([10]), *sweep([20], lr=0.1)], Uncounted(), said.append)
    assert (one.label, said) == ("gru", ["gru has lr=0.01 at 10 and lr=0.1 at 20."])
    (gru,) = from_results(slow, Uncounted())
    its = gru.protocol
    assert (gru.label, its.task, its.least, its.most, its.max_steps) == ("gru", "latch", 10, 20, 1000)
    assert (its.n_seeds, its.most_seeds, its.by_staircase) == (5, 5, False)
    assert protocol_lines([gru])[0].endswith("validated every 50; the same seeds at each span: 5.")


def test_runs_that_failed_decide_labels_and_nothing_else() -> None:
    """Labels are those of a report, which shows them."""
    runs = [*sweep([10, 20]), *sweep([10, 20], lr=0.1, status="failed")]
    (gru,) = from_results(runs, Uncounted())
    assert gru.label == "gru (lr=0.01)" and [at.n for at in gru.spans] == [3, 3]


def test_an_entrant_without_a_curve_can_be_left_out() -> None:
    said: list[str] = []
    runs = [*sweep([10, 20]), *sweep([10], lr=0.1), *sweep([20], lr=0.1, n=2)]
    (gru,) = from_results(runs, Uncounted(), said.append, whole=False)
    assert (gru.label, gru.protocol.n_seeds) == ("gru (lr=0.01)", 3)
    (sentence,) = said
    assert sentence.startswith("gru (lr=0.1) on latch at 20 has 2 runs; a span is fitted from 3 runs on")
    assert not from_results(sweep([10, 20], n=2), Uncounted(), said.append, whole=False)


def test_variants_of_a_task_are_apart() -> None:
    runs = sweep([10, 20]) + sweep([40, 80], settings={"noise_variance": 0.5})
    tasks = [each.protocol.task for each in from_results(runs, Uncounted())]
    assert tasks == ["latch (noise_variance=0.2)", "latch (noise_variance=0.5)"]


def test_a_length_that_is_not_the_span_makes_another_task() -> None:
    runs = [run for w in (4, 8) for run in sweep([100, 200], task="time_warp", settings={"warp": w})]
    found = from_results(runs, Uncounted())
    assert [each.protocol.task for each in found] == ["time_warp (length=100)", "time_warp (length=200)"]
    assert [at.span for at in found[0].spans] == [4, 8]


def test_spans_from_two_platforms_are_mixed() -> None:
    runs = sweep([10, 20], device="A", commit="a") + sweep([40], device="B", commit="b")
    (gru,) = from_results(runs, Uncounted())
    assert gru.mixed == {"commits": 2, "devices": 2}
    assert "‡ gru on latch: its runs are of 2 commits, 2 devices." in protocol_lines([gru])


@pytest.mark.parametrize(
    ("runs", "sentence"),
    [
        (sweep([10, 20], n=1), r"gru on latch at 10 has 1 run; a span is fitted from 3 runs on"),
        (sweep([10]) + sweep([20], n=2), r"gru on latch at 20 has 2 runs; a span is fitted"),
        (
            sweep([10]) + sweep([20], trainer={"patience": 2}),
            r"Runs on latch had different budgets, trainer\.patience of 2 and null, .* --where trainer\.pat",
        ),
        (
            sweep([10]) + sweep([20], trainer={"stop_when_solved": False}),
            r"had different budgets, trainer\.stop_when_solved of true and false",
        ),
        (sweep([10], commit="a") + sweep([10], commit="b"), r"gru on latch at 10 has runs of two conf"),
        (
            sweep([10], trainer={"max_steps": 9, "eval_every": None}),
            r"Runs on latch do not say their trainer\.eval_every",
        ),
        (sweep([10], task="ntm_copy"), r"ntm_copy has no span, so that its runs are in no table of spans"),
    ],
)
def test_runs_that_make_no_curve_are_refused(runs: list[Result], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        from_results(runs, Uncounted())
