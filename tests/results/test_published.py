"""What the literature reports: the file in results, and what fits a run."""

from collections.abc import Callable
from inspect import signature
from pathlib import Path

import pytest
from handmade import run

from seqbench.config.identity import with_defaults
from seqbench.errors import ConfigError
from seqbench.results.published import BESIDE, SHARES, published, published_for, read_published
from seqbench.tasks.base import Task

FILE = Path(__file__).parents[2] / "results" / "published.yaml"


def test_every_entry_is_about_a_task_and_a_metric_that_are_there(make_task: Callable[..., Task]) -> None:
    entries = read_published(FILE)
    assert len(entries) > 30
    for task in {entry.task for entry in entries}:
        built = make_task(f"task={task}")
        for entry in (entry for entry in entries if entry.task == task):
            keys = {key.removeprefix("task.") for key in entry.settings}
            assert keys <= signature(type(built)).parameters.keys(), entry
            if entry.metric not in BESIDE and task != "babi":  # which wants its data to say so
                metric = built.metric_of(entry.metric)
                assert (metric.unit == "share") == (entry.metric in SHARES), entry
                assert metric.low is None or min(entry.values.values()) >= metric.low


def test_what_fits_a_task_and_its_settings() -> None:
    entries = read_published(FILE)
    settings = {"task.variant": "anywhere", "task.length": 600, "task.eval_size": 1000}
    (found,) = published("adding", settings, entries)
    assert found.values["LSTM"] == 0.164
    assert str(found).startswith("Published: RNN 0.177; LSTM 0.164; GRU 5.30e-5; TCN 5.80e-5 (loss). Bai,")
    assert published("adding", settings | {"task.length": 601}, entries) == []
    assert published("copy_memory", settings, entries) == []


def test_a_setting_left_out_has_its_default() -> None:
    entries = read_published(FILE)
    target = "seqbench.tasks.synthetic.temporal_order.TemporalOrder"
    its = run("temporal_order", task___target_=target)
    assert with_defaults(its.config)["task"]["variant"] == "scaled"
    assert [entry.source for entry in published_for([its, its], entries)] == [
        "Pascanu, Mikolov & Bengio (2013)"
    ]


ENTRY = "task: a, settings: {}, metric: loss, values: {RNN: 1}, source: S, at: T, protocol: P"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("entry: []", "wants a list of `entries`"),
        ("entries: [{task: adding}]", "entry 1, settings: Field required"),
        (f"entries: [{{{ENTRY}, certainty: sure}}]", "entry 1, certainty: Input should be 'read', 'quoted'"),
        (
            f"entries: [{{{ENTRY}, certainty: read, spread: {{GRU: 1}}}}]",
            "entry 1: spread of GRU, which has no value",
        ),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "published.yaml").write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        read_published(tmp_path / "published.yaml")
