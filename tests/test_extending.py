"""What it takes to add something: each addition of docs/example, a package outside seqbench, for real.

Nothing in `src` is changed or knows of these files. Each test names the files that a newcomer writes.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
import torch

import seqbench
from seqbench.cli import main
from seqbench.errors import ConfigError
from seqbench.results.labels import label_runs

HERE = Path(__file__).parents[1] / "docs" / "example"
QUICK = ("logger=none", "batch_size=16", "trainer.progress=false", "allowed_packages=[lab]")


@pytest.fixture(autouse=True)
def _own_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("SEQBENCH_PRESETS", str(HERE / "presets"))


def train(*overrides: str, **more) -> list[seqbench.Result]:
    return seqbench.train(seqbench.compose([*QUICK, *overrides]), **more)


def test_a_cell() -> None:
    """lab/decay.py, presets/model/decay.yaml, and a test such as this."""
    cfg = seqbench.compose([*QUICK, "model=decay", "task=copy_memory", "task.length=4"])
    task = seqbench.build_task(cfg)
    model = seqbench.build_model(cfg, task).double()
    inputs = task.sample(torch.Generator().manual_seed(0), 3, 4).inputs
    outputs, _ = model(inputs)
    first, state = model(inputs[:, :3])
    second, _ = model(inputs[:, 3:], state=state)
    torch.testing.assert_close(torch.cat([first, second], 1), outputs)
    ragged, _ = model(inputs, torch.tensor([len(inputs[0]), 5, 2]))
    torch.testing.assert_close(ragged[2, :2], outputs[2, :2])
    results = train(
        *("model=decay", "task=latch", "task.length=5", "task.eval_size=100", "n_seeds=2"),
        *("model.hidden_size=8", "optim.lr=0.02", "trainer.max_steps=300"),
    )
    assert [result.status for result in results] == ["solved", "solved"], results[0].error
    assert results[0].state_size == 8


def test_an_edited_cell_makes_other_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an edit does not touch is found again; tables tell the two states of the code apart."""
    text = (HERE / "lab" / "decay.py").read_text()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "edited").mkdir()
    (tmp_path / "edited" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    small = ("model=decay", "model.cell._target_=edited.decay.Decay", "allowed_packages=[edited]")
    small += ("task=latch", "task.length=5", "task.eval_size=8", "model.hidden_size=4")
    small += ("trainer.max_steps=2", "trainer.eval_every=2")

    def run(old: str, new: str, *typed: str) -> seqbench.Result:
        assert old in text
        (tmp_path / "edited" / "decay.py").write_text(text.replace(old, new))
        for name in [name for name in sys.modules if name.partition(".")[0] == "edited"]:
            monkeypatch.delitem(sys.modules, name)
        (result,) = train(*small, *typed)
        return result

    first = run("", "")
    assert {*first.code} == {"model.cell"} and run("import torch", "# a comment\nimport torch") == first
    other = run("torch.tanh(s)", "torch.sin(s)")
    assert other.hash != first.hash and other.code != first.code
    longer = run("torch.tanh(s)", "torch.cos(s)", "trainer.max_steps=4")
    assert longer.continued_from is None
    assert run("torch.tanh(s)", "torch.sin(s)", "trainer.max_steps=6").continued_from == f"decay-{other.hash}"
    labels = [model for _, model in label_runs([first, other])]
    assert labels == [f"decay (code={its.code['model.cell']})" for its in (first, other)]
    capsys.readouterr()
    folder = f"runs/latch/decay-{first.hash}/seed-0"
    seqbench.load_run(folder, ["edited"])
    changed = "edited.decay.Decay was changed since the run was trained, and may put out other numbers."
    assert capsys.readouterr().err == f"seqbench: {folder}: {changed}\n"
    seqbench.load_run(f"runs/latch/decay-{other.hash}/seed-0", ["edited"])
    assert capsys.readouterr().err == ""


def test_a_task() -> None:
    """lab/first_symbol.py, presets/task/first_symbol.yaml, and a test such as this."""
    (result,) = train(
        *("task=first_symbol", "task.length=5", "task.eval_size=200", "model=gru", "model.hidden_size=16"),
        *("optim.lr=0.02", "trainer.max_steps=400"),
    )
    assert result.status == "solved" and result.test["5"]["accuracy"] > 0.98, result.error
    assert result.baseline_loss["5"] == pytest.approx(1.3862943611198906)


def test_an_optimiser() -> None:
    """presets/optim/nadam.yaml."""
    args = ("task=latch", "task.length=5", "task.eval_size=100", "model=rnn", "model.hidden_size=8")
    (nadam,) = train(*args, "optim=nadam", "optim.lr=0.02", "trainer.max_steps=200")
    assert nadam.status == "solved", nadam.error


def test_data() -> None:
    """lab/words.py, presets/task/words.yaml, data/words.csv, and a test such as this."""
    words_task = ("task=words", f"data_dir={HERE / 'data'}")
    task = seqbench.build_task(seqbench.compose([*QUICK, *words_task]))
    splits = [task.read_split(split) for split in ("train", "validation", "test")]
    words = [
        "".join(map(chr, row[:length] + ord("a")))
        for batch in splits
        for row, length in zip(batch.inputs, batch.lengths, strict=True)
    ]
    assert len(words) == len({*words}) == 400 and "schule" in words
    args = ("model=gru", "model.hidden_size=16")
    (result,) = train(*words_task, *args, "optim.lr=0.01", "trainer.max_steps=300", "trainer.eval_every=20")
    assert result.test[str(task.length)]["accuracy"] > 0.75 and result.data == task.fingerprint()


def test_a_logger() -> None:
    """lab/lines.py, presets/logger/lines.yaml."""
    args = ("task=latch", "task.length=5", "task.eval_size=20", "model=rnn", "model.hidden_size=4")
    (result,) = train(*args, "logger=lines", "trainer.max_steps=4", "trainer.eval_every=2")
    (path,) = Path("runs/lines").rglob("seed-0.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    losses = {row["step"]: row["val/loss"] for row in rows if "val/loss" in row}
    assert [*losses] == [2, 4] and losses[4] == pytest.approx(result.validation["loss"])


def test_a_metric(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """lab/confident.py."""
    args = ("task=latch", "task._target_=lab.confident.ConfidentLatch", "task.length=5", "task.eval_size=40")
    (result,) = train(*args, "model=rnn", "model.hidden_size=4", "trainer.max_steps=20")
    confident = result.test["5"]["confident"]
    assert confident is not None and 0 <= confident <= 1
    assert result.metrics["confident"].direction == "max" and result.metrics["confident"].unit == "share"
    monkeypatch.setattr(sys, "argv", ["seqbench", "report", "--metric", "confident"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    assert "confident (higher is better)" in said and f"{100 * confident:.1f} %" in said


def test_a_statistic(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """lab/worst.py."""
    args = ("task=latch", "task.length=5", "task.eval_size=40", "model=rnn", "model.hidden_size=4")
    results = train(*args, "n_seeds=2", "trainer.max_steps=20")
    worst = min(result.test["5"]["accuracy"] for result in results)
    monkeypatch.setattr(sys, "argv", ["seqbench", "report", "--summary", "lab.worst.Worst", "--format", "md"])
    with pytest.raises(SystemExit) as exit_:
        main()
    said = capsys.readouterr().out
    assert exit_.value.code == 0
    assert f"worst {100 * worst:.1f} %" in said and "value of the worst seed" in said


@pytest.mark.slow
def test_a_callback() -> None:
    """lab/watch.py, presets/callbacks/watch.yaml; or an instance from Python."""
    from lab.watch import Watch

    watch = Watch()
    args = ("task=latch", "task.length=5", "task.eval_size=20", "model=rnn", "model.hidden_size=4")
    args += ("trainer.max_steps=6", "trainer.eval_every=2")
    (result,) = train(*args, callbacks=[watch])
    (path,) = Path("runs").glob("*/*/*/metrics.csv")
    rows = [float(row["loss"]) for row in csv.DictReader(path.open())]
    assert watch.losses == pytest.approx(rows) and len(rows) == 3
    (plain,) = train(*args, "runs_dir=plain")
    (named,) = train(*args, "callbacks=watch", "runs_dir=named")
    assert plain.test == named.test == result.test and plain.hash == named.hash


def test_a_family_with_its_own_kind_of_input() -> None:
    """lab/graphs/degree.py, lab/graphs/graph_net.py, their two presets, and a test such as this."""
    results = train(
        *("task=degree", "model=graph_net", "n_seeds=2"),
        *("optim.lr=0.01", "batch_size=64", "trainer.max_steps=600"),
    )
    assert [result.status for result in results] == ["solved", "solved"], results[0].error
    for result in results:
        assert result.test["6"]["accuracy"] > 0.97 and result.state_size == 6 * 32
        assert result.mode == "eager"
    with pytest.raises(ConfigError, match="takes graph tasks, and latch is a sequence task"):
        train("task=latch", "model=graph_net")
    with pytest.raises(ConfigError, match="degree is a graph task; models that take it: graph_net"):
        train("task=degree", "model=lstm")
    with pytest.raises(ConfigError, match=r"model\.rounds=0 passes no message"):
        train("task=degree", "model=graph_net", "model.rounds=0")
    budget = train("task=degree", "model=graph_net", "model.param_budget=2000", "trainer.max_steps=1")[0]
    assert abs(budget.parameters - 2000) <= 100
    data = json.loads(next(Path("runs").glob("degree/*/seed-0/result.json")).read_text())
    assert data["metrics"]["accuracy"]["direction"] == "max"
