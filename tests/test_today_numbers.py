"""The tables of results/today.md, written anew from the records of its pages."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path
from statistics import fmean, median

import pandas as pd
import pytest

RESULTS = Path(__file__).parents[1] / "results"
TEXT = (RESULTS / "today.md").read_text()
REGULAR = ("even_pairs", "parity", "cycle_navigation", "modular_arithmetic_simple")


def span(low: float, middle: float, high: float) -> str:
    told = [
        "< 10" if its == 0 else f"{its:.3g}" if its < math.inf else "> 400" for its in (middle, low, high)
    ]
    return told[0] if low == high else f"{told[0]} [{told[1]}–{told[2]}]"


def row(model: str, its: pd.DataFrame, at: int, searched: float, trained: float) -> str:
    """A model's row: its span, and what it costs to solve the task at one; where it is not run there, –."""
    spans = its.set_index("span")
    last = spans.loc[at if at in spans.index else spans.index[-1]]
    steps = last["median_steps"] if at in spans.index else math.inf
    flops = steps * last["step_flops"]
    return (
        f"| `{model}` | {span(*(last[f'half_span{end}'] for end in ('_low', '', '_high')))} | "
        f"{its['solved'].sum()} of {its['runs'].sum()} | {last['state_size']:,} | "
        f"{f'{steps:,.0f}' if math.isfinite(steps) else '–'} | "
        f"{f'{flops:.1e}' if math.isfinite(flops) else '–'} | {searched:.2f} + {trained:.2f} |"
    )


@pytest.mark.parametrize(("task", "at"), [("temporal_order", 400), ("induction_heads", 80)])
def test_spans_states_and_costs_are_those_of_the_page(task: str, at: int) -> None:
    page = RESULTS / "today" / task
    found = pd.read_csv(page.with_suffix(".csv"))
    searches = json.loads(page.with_name(f"{task}-search.json").read_text())["models"]
    hours: dict[str, float] = defaultdict(float)
    for line in page.with_suffix(".jsonl").read_text().splitlines():
        run = json.loads(line)
        hours[run["model"]] += run["wall_time_s"] / 3600
    rows = [
        row(model, its, at, searches[model]["core_hours"], hours[model])
        for model, its in found.groupby("entrant", sort=False)
    ]
    assert len(rows) == 9 and "\n".join(rows) in TEXT


def beyond(page: str) -> dict[tuple[str, str], list[float]]:
    """Return each seed's mean accuracy in % at the lengths beyond training, by task and model."""
    found = defaultdict(list)
    for line in (RESULTS / f"today/{page}.jsonl").read_text().splitlines():
        run = json.loads(line)
        trained = run["config"]["task"]["length"]
        values = [its["accuracy"] for n, its in run["test"].items() if int(n) > trained]
        assert len(values) == 10
        found[run["task"], run["model"]].append(100 * fmean(values))
    return found


def test_accuracies_beyond_the_training_lengths_are_those_of_the_pages() -> None:
    pages = [beyond("chomsky"), beyond("chomsky_regular") | beyond("chomsky_stack")]
    rows = []
    for task in (*REGULAR, "reverse_string", "stack_manipulation"):
        for model in ("rnn", "lstm") if task in REGULAR else ("lstm", "stack_rnn"):
            cells = [
                f"{median(its):.1f}, best {max(its):.1f}" if (its := page.get((task, model))) else "–"
                for page in pages
            ]
            rows.append(f"| `{task}` | `{model}` | {' | '.join(cells)} |")
    assert "\n".join(rows) in TEXT


def test_recall_and_states_are_those_of_the_page() -> None:
    runs = defaultdict(list)
    for line in (RESULTS / "today/mqar.jsonl").read_text().splitlines():
        run = json.loads(line)
        runs[run["model"], run["config"]["model"]["hidden_size"]].append(run)
    rows = []
    for model in dict.fromkeys(model for model, _ in runs):
        cells = []
        for width in (8, 16, 32, 64, 128, 256):
            its = runs.get((model, width), [])
            accuracy = f"{100 * median(run['test']['48']['accuracy'] for run in its):.1f}" if its else ""
            solved = sum(run["solved_at_step"] is not None for run in its)
            assert len(its) in (0, 3)
            cells.append(f"{accuracy}, {solved} of 3 ({its[0]['state_size']:,})" if its else "–")
        rows.append(f"| `{model}` | {' | '.join(cells)} |")
    assert len(rows) == 9 and "\n".join(rows) in TEXT


def test_the_spans_in_the_readme_are_those_of_the_page() -> None:
    found = pd.read_csv(RESULTS / "today/induction_heads.csv").groupby("entrant")["half_span"].first()
    spans = {model: f"{span:.3g}" for model, span in found.items()}
    told = " ".join((RESULTS.parent / "README.md").read_text().split())
    first = (
        f"`gru` comes to {spans['gru']} steps and `lstm` to {spans['lstm']}, `mamba2` to {spans['mamba2']}, "
        f"`xlstm` to {spans['xlstm']} and the transformer to {spans['transformer']}, and `gated_delta_net` "
        f"alone goes further, to {spans['gated_delta_net']}, though its interval overlaps that of `gru`."
    )
    assert first in told
    assert found.drop(["gated_delta_net", "gru"]).max() < found["gru"] < found["gated_delta_net"]
