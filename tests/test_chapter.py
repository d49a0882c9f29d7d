"""What results/chapter.md names is there: rows, presets, options, files and tests."""

from __future__ import annotations

import ast
import math
import re
import shlex
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import yaml

import seqbench
from seqbench.cli.analyse import ANALYSES
from seqbench.cli.analyses.common import jobs
from seqbench.config.build import build_optimizer_config, build_settings
from seqbench.config.presets import preset_names

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "results" / "chapter.md"
#: What chapter 10 has, and a last row of what it does not have.
ROWS = [
    "A dynamical system, unfolded",
    "A system with an input",
    "Output at every step",
    "Recurrence from the output alone",
    "One output at the end",
    "The loss of a sequence",
    "Back-propagation through time",
    "Teacher forcing",
    "Both directions",
    "Encoder and decoder",
    "Deep, by a hierarchy of states",
    "Deep, by more layers within a step",
    "Deep, with skip connections",
    "Recursive networks",
    "Long-term dependencies",
    "Skip connections through time",
    "Leaky units",
    "Removed connections",
    "Long short-term memory",
    "Gated recurrent unit",
    "Other gated units",
    "Clipping gradients",
    "Regularising the flow of information",
    "Where weights start",
    "Echo state networks",
    "Explicit memory, addressed as told",
    "Explicit memory, addressed as learnt",
    "Neural Turing machine",
    "Beyond the chapter",
]
#: What cannot be built for the task that is there unless another is named.
TASKS = {
    **dict.fromkeys(("model=memory_network", "model=memn2n"), "task=stories"),
    **dict.fromkeys(("model=seq2seq", "model=seq2seq_attention"), "task=reverse"),
    **dict.fromkeys(("model=recursive_net", "model=tree_lstm"), "task=listops"),
}


def table() -> list[list[str]]:
    """Return the cells of the page's first table, without its heading."""
    rows, _, _ = PAGE.read_text().partition("## Measured")
    lines = [line for line in rows.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def spans(column: int) -> list[str]:
    """Return what stands in backticks in a column, each once."""
    return list(dict.fromkeys(re.findall(r"`([^`]+)`", " ".join(row[column] for row in table()))))


@cache
def functions(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_every_row_of_the_chapter_is_there_and_full():
    assert [row[0] for row in table()] == ROWS
    for row in table():
        assert len(row) == 5 and all(row), row[0]
        assert "](" in row[3] and "::" in row[4], row[0]


@pytest.mark.parametrize("typed", spans(2))
def test_what_is_to_be_typed_can_be_built(typed):
    words = shlex.split(typed)
    if words[:2] == ["seqbench", "analyse"]:
        assert words[2] in ANALYSES
        assert len(jobs(words[3:])) == 2
        return
    if not any(word.startswith("task=") for word in words) and words[0] in TASKS:
        words.append(TASKS[words[0]])
    cfg = seqbench.compose(words)
    for word in words:
        key, _, value = word.partition("=")
        if "." not in key and "/" not in key:
            assert cfg.preset[key] == value and value in preset_names(key)
    seqbench.build_model(cfg, seqbench.build_task(cfg))
    build_optimizer_config(cfg)
    build_settings(cfg)


def test_every_file_is_there():
    links = re.findall(r"\[`([^`]+)`\]\(([^)]+)\)", PAGE.read_text())
    assert len(links) > len(ROWS)
    for name, link in links:
        assert (PAGE.parent / link).is_file(), link
        assert link.endswith(name), link


@pytest.mark.parametrize("test", spans(4))
def test_every_test_is_there(test):
    path, name = test.split("::")
    assert name.startswith("test_") and name in functions(ROOT / path)


#: A number, with its thousands: `2,000`, `0.576`, `7.5e-5`, `10.2k`.
NUMBER = re.compile(r"(?<![\w.^])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?k?")
#: What a paper said may stand on a page too, as may what a preset sets.
PUBLISHED = yaml.safe_load((ROOT / "results/published.yaml").read_text())["entries"]


def numbers(text: str) -> list[str]:
    return [found.rstrip(",") for found in NUMBER.findall(text)]


def value(number: str) -> float:
    return float(number.replace(",", "").replace("k", "e3"))


def stands(number: str, known: list[float]) -> bool:
    """Whether a number is one of the known ones, rounded as it is written."""
    digits = len(number.partition(".")[2].rstrip("k"))
    half = 0.05 * value(number) if "e" in number else 0.5 * 10**-digits * (1000 if "k" in number else 1)
    return any(abs(value(number) - each) <= half * (1 + 1e-9) for each in known)


def on_pages(links: str) -> list[float]:
    """Return the numbers of the linked pages, and of the experiments that these name."""
    texts = []
    for link in re.findall(r"\]\(([^)#]+\.md)", links):
        texts.append((PAGE.parent / link).read_text())
        named = re.findall(r"experiment=(\w+)", texts[-1])
        texts += [(ROOT / f"conf/experiment/{name}.yaml").read_text() for name in named]
    return [value(number) for text in texts for number in numbers(text)]


def of_papers() -> list[float]:
    values = [each for entry in PUBLISHED for each in entry["values"].values()]
    return [*values, *(100 * each for each in values), 10**-4.2]


MEASURED = [
    line.strip("| ").split(" | ")
    for line in PAGE.read_text().partition("## Measured")[2].splitlines()
    if line.startswith("| ") and line.count(" | ") == 2
][1:]


@pytest.mark.parametrize(
    ("measured", "links"), [row[1:] for row in MEASURED], ids=[row[0] for row in MEASURED]
)
def test_each_number_that_was_measured_stands_on_its_page(measured: str, links: str) -> None:
    known = [*on_pages(links), *of_papers()]
    told = numbers(re.sub(r"\([^)]*, \d{4}\)", "", measured))
    assert [number for number in told if not stands(number, known)] == []


def test_each_measured_number_of_the_readme_stands_on_a_page() -> None:
    text = re.sub(r"```.*?```", "", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    told = re.findall(r"(?<![\w.])(?:0\.\d+(?!\.)|[\d.]+(?= ?%))", text)
    pages = ("speed", "quickstart", "spans/temporal_order")
    known = [n for page in pages for n in numbers((ROOT / f"results/{page}.md").read_text())]
    assert len(told) > 5
    assert [number for number in told if not stands(number, [value(n) for n in known])] == []


def test_the_spans_below_the_figure_of_the_readme_are_those_of_its_page() -> None:
    rows = pd.read_csv(ROOT / "results/spans/temporal_order.csv").drop_duplicates("entrant")
    spans = rows.set_index("entrant")["half_span"]
    told = " ".join((ROOT / "README.md").read_text().split())
    assert f"As presets `gru` comes to {spans['gru']:.0f} steps and `lstm` to {spans['lstm']:.0f}, " in told
    assert f"and `lstm` comes to {spans['lstm (tuned)']:.0f}." in told
    tuned = spans[spans.index.str.endswith(" (tuned)")]
    beyond = "gru", "leaky_rnn", "leaky_rnn_learnt", "leaky_rnn_single"
    assert sorted(tuned.index[tuned == math.inf]) == [f"{its} (tuned)" for its in beyond]


@pytest.mark.parametrize("page", ["copy_memory", "noiseless_memory"])
def test_where_symbols_are_repeated_gru_alone_goes_on_and_leaky_units_fall_behind(page: str) -> None:
    """As README says below its figure."""
    rows = pd.read_csv(ROOT / f"results/spans/{page}.csv").drop_duplicates("entrant").set_index("entrant")
    spans = rows["half_span"][rows.index.str.endswith(" (tuned)")].rename(lambda name: name.split()[0])
    assert [*spans.index[spans == math.inf]] == ["gru"]
    leaky = spans[spans.index.str.startswith("leaky")]
    assert len(leaky) == 3 and (leaky < spans["rnn"]).all()
    assert f"results/spans/{page}.md" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", ["temporal_order_3k", "temporal_order_30k"])
def test_at_each_size_the_tuned_models_come_in_the_same_order(page: str) -> None:
    """As README says below its figure; beyond 400 there is no order."""

    def order(of: str) -> list[str]:
        rows = pd.read_csv(ROOT / f"results/spans/{of}.csv").drop_duplicates("entrant").set_index("entrant")
        spans = rows["half_span"][rows.index.str.endswith(" (tuned)")].sort_values(ascending=False)
        return [*sorted(spans.index[spans == math.inf]), *spans.index[spans < math.inf]]

    assert order(page) == order("temporal_order") and len(order(page)) == 8
    assert f"results/spans/{page}.md" in (ROOT / "README.md").read_text()
