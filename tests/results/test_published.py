"""What the literature reports: the file in results, and what fits a run."""

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from handmade import run, write

from seqbench.cli.report import main
from seqbench.config.identity import with_defaults
from seqbench.errors import ConfigError
from seqbench.results.frame import compare
from seqbench.results.published import BESIDE, SHARES, Entry, published, published_for, read_published
from seqbench.results.rendering.blocks import blocks
from seqbench.results.rendering.latex import to_latex
from seqbench.results.rendering.markdown import to_markdown
from seqbench.tasks.base import Task


def test_every_entry_is_about_a_task_and_a_metric_that_are_there(make_task: Callable[..., Task]) -> None:
    entries = read_published()
    assert len(entries) > 30
    for task in {entry.task for entry in entries}:
        built = make_task(f"task={task}")
        for entry in (entry for entry in entries if entry.task == task):
            keys = {key.removeprefix("task.") for key in entry.settings}
            assert keys <= signature(type(built)).parameters.keys(), entry
            if entry.metric not in BESIDE and task not in ("babi", "ptb_char", "ptb_word"):  # want their data
                metric = built.metric_of(entry.metric)
                assert (metric.unit == "share") == (entry.metric in SHARES), entry
                assert metric.low is None or min(entry.values.values()) >= metric.low


def test_what_fits_a_task_and_its_settings() -> None:
    entries = read_published()
    settings = {"task.variant": "anywhere", "task.length": 600, "task.eval_size": 1000}
    (found,) = published("adding", settings, entries)
    assert found.values["LSTM"] == 0.164
    assert str(found).startswith("Published: RNN 0.177; LSTM 0.164; GRU 5.30e-5; TCN 5.80e-5 (loss). Bai,")
    assert published("adding", settings | {"task.length": 601}, entries) == []
    assert published("copy_memory", settings, entries) == []


def test_a_setting_left_out_has_its_default() -> None:
    entries = read_published()
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
        ("- a", "wants a list of `entries`"),
        ("entries: {a: 1}", "wants a list of `entries`"),
        ("entries: [a", "cannot be read: while parsing a flow sequence"),
        (f"entries: [{{{ENTRY}, certainty: read, metric: accuracy}}]", "found duplicate key metric"),
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


def test_a_text_may_have_any_sign(tmp_path: Path) -> None:
    protocol = r"a rate of ${\epsilon}"
    text = f"entries: [{{{ENTRY.replace('protocol: P', f'protocol: {protocol!r}')}, certainty: read}}]"
    (tmp_path / "published.yaml").write_text(text.replace("\\\\", "\\"))
    assert read_published(tmp_path / "published.yaml")[0].protocol == protocol


def entry(**keys: Any) -> Entry:
    known = {"task": "adding", "settings": {"task.length": 50}, "metric": "loss", "values": {"RNN": 0.1767}}
    said = {"source": "Some (1999)", "at": "Table 1", "protocol": "other than ours", "certainty": "read"}
    return Entry.model_validate({**known, **said, **keys})


ENTRIES = [
    entry(values={"RNN": 0.1767, "LSTM": 0.164}),
    entry(metric="sequences", values={"LSTM": 74000}),
    entry(metric="error", values={"RNN": 0.5}),
    entry(settings={}, metric="solved", values={"Ω": 0.9}),
    entry(settings={"task.length": 80}),
    entry(task="mnist", settings={}, metric="loss", values={"IRNN": 0.1}),
]


def test_a_report_has_a_row_of_what_is_published_and_its_sources_below() -> None:
    fixed = run("mnist", length=784)
    del fixed.config["task"]["length"]
    comparison = compare([run(), run(length=100), fixed], published=ENTRIES)
    adding, mnist = blocks(comparison)
    assert adding.table.index.tolist() == ["lstm", "baseline", "published"]
    assert adding.table.loc["published"].tolist() == ["RNN 0.177\nLSTM 0.164\nLSTM 74,000 sequences", "", ""]
    # What is of no column of its own, or of another metric, is below; what is of another length nowhere.
    assert adding.legend.count("Published: ") == 4 and "Ω 90.0 % (solved)" in adding.legend
    assert mnist.table.loc["published", "784"] == "IRNN 0.1"
    assert mnist.legend.count("Published: IRNN 0.1 (loss). Some (1999), Table 1; read in the") == 1
    assert "Published: " in to_markdown(comparison) and r"$\Omega$ 90.0 \%" in to_latex(comparison)
    (plain,) = blocks(compare([run()]))
    assert "published" not in plain.table.index and "Published" not in plain.legend


def test_the_command_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = "seqbench.tasks.synthetic.adding.Adding"
    runs = [run(length=600, task___target_=target, task__variant="anywhere")]
    assert main([str(write(tmp_path / "runs", runs)), "--format", "md"]) == 0
    assert "| published | RNN 0.177<br>LSTM 0.164<br>GRU 5.30e-5<br>TCN 5.80e-5 |" in capsys.readouterr().out
