"""The report: what the command prints and writes."""

import csv
import io
import shutil
from pathlib import Path

import pandas as pd
import pytest
from handmade import mixed, run, write

from seqbench.cli.report import main
from seqbench.errors import ConfigError, StoreError
from seqbench.results.frame import compare
from seqbench.results.report import WRITERS
from seqbench.runs.exchange import export_runs
from seqbench.runs.inventory import inventory
from seqbench.runs.result import SCHEMA
from seqbench.runs.store import read_results, run_folders
from seqbench.tasks.metrics import share


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    return write(tmp_path / "runs", mixed())


def test_prints_the_format_asked_for(runs_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comparison = compare(read_results(run_folders(runs_dir)))
    for suffix, write_ in WRITERS.items():
        assert main([str(runs_dir), "--format", "latex" if suffix == "tex" else suffix]) == 0
        assert capsys.readouterr().out == write_(comparison)
    assert main([str(runs_dir), "--task", "copy_memory"]) == 0
    out = capsys.readouterr().out
    assert "copy_memory" in out and "adding" not in out and "gru" not in out


def test_out_writes_every_format_and_the_figure(runs_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    assert main([str(runs_dir), "--out", str(out), "--name", "span"]) == 0
    names = {path.name for path in out.iterdir()}
    assert names == {f"span.{suffix}" for suffix in ("md", "csv", "tex", "json", "svg", "png")}
    assert len(pd.read_csv(out / "span.csv")) == 5


def test_pages_state_the_provenance_of_their_numbers(tmp_path: Path) -> None:
    made = {"commit": 40 * "a" + "+", "wall_time_s": 1800.0, "device": "A CPU", "versions": {"torch": "2.0"}}
    write(tmp_path / "runs", [run(seed=seed, **made) for seed in (0, 1, 4)])
    main([str(tmp_path / "runs"), "--out", str(tmp_path), "--note", "seqbench task=adding"])
    origin = "3 runs, seeds 0, 1, 4; commit aaaaaaaaa+; torch 2.0 on A CPU; 1.5 h of training in all, until "
    origin += "2026-01-01 00:00 UTC."
    for suffix, start in (("md", ""), ("tex", "% ")):
        lines = (tmp_path / f"report.{suffix}").read_text().splitlines()
        assert f"{start}Command: seqbench task=adding" in lines
        assert start + origin in lines


@pytest.mark.slow
def test_figure_alone_is_saved_in_this_folder(
    runs_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--figure"]) == 0
    assert (tmp_path / "report.svg").exists() and (tmp_path / "report.png").exists()


def test_another_metric(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    f1 = {"test": {"50": {"f1": 0.25}}, "metrics": {"f1": share("f1")}}
    write(tmp_path / "runs", [run(**f1)])
    assert main([str(tmp_path / "runs"), "--metric", "f1", "--format", "md"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("**adding: f1 (higher is better). Solved") and "25.0 %<br>1/1" in out


def test_a_report_is_of_the_runs_that_were_chosen(
    runs_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def models(*args: str) -> list[str]:
        assert main([*args, "--format", "csv"]) == 0
        rows = csv.DictReader(io.StringIO(capsys.readouterr().out))
        return [f"{row['task']} {row['model']}" for row in rows]

    assert models(str(runs_dir), "--model", "gru", "--model", "lstm", "--task", "adding") == [
        *("adding gru", "adding lstm")
    ]
    # Alone on the task, one variant needs no setting to tell it apart.
    assert models(str(runs_dir), "--where", "model.cell.alpha=0.9") == ["adding leaky_rnn"]
    assert models(str(runs_dir), "--where", "task.length=20") == ["copy_memory lstm"]
    assert models(str(runs_dir / "adding"), "--where", "seed=3", "--sort", "metric") == [
        *("adding lstm", "adding gru")
    ]
    exported = tmp_path / "exported.jsonl"
    export_runs(inventory(runs_dir / "adding"), exported, curves=False, warn=print)
    shutil.rmtree(runs_dir / "adding")
    assert models(str(runs_dir)) == ["copy_memory lstm"]
    assert len(models(str(runs_dir), str(exported))) == 5


def test_a_run_in_two_places_is_one_and_of_two_the_later_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, same = (write(tmp_path / name, [run(value=0.25)]) for name in "ab")
    changed = run(value=0.5)
    changed.finished_at = "2026-02-01T00:00:00Z"
    later = write(tmp_path / "c", [changed])
    assert main([str(one), str(same), "--format", "md"]) == 0
    said = capsys.readouterr()
    assert "0.25<br>1/1" in said.out and not said.err
    assert main([str(later), str(one), "--format", "md"]) == 0
    said = capsys.readouterr()
    assert "0.5<br>1/1" in said.out
    assert "1 run is in two places with other numbers; the later one counts." in said.err


def test_an_exported_file_of_another_schema_is_one_sentence(runs_dir: Path, tmp_path: Path) -> None:
    exported = tmp_path / "exported.jsonl"
    export_runs(inventory(runs_dir), exported, curves=False, warn=print)
    exported.write_text(exported.read_text().replace(f'"schema":{SCHEMA}', f'"schema":{SCHEMA + 1}'))
    with pytest.raises(
        StoreError, match=rf"line 1 of .* was stored under schema {SCHEMA + 1}, and this version"
    ):
        main([str(exported)])


def test_errors_are_one_sentence(runs_dir: Path, tmp_path: Path) -> None:
    empty, none = tmp_path / "empty", tmp_path / "none"
    empty.mkdir()
    with pytest.raises(StoreError, match=r"no results in .*empty; train something first"):
        main([str(empty)])
    with pytest.raises(StoreError, match=r"There is no folder of runs and no exported file .*none"):
        main([str(runs_dir), str(none)])
    with pytest.raises(StoreError, match=r"optim\.lr=1\. --where optim\.lr=1 chooses runs"):
        main([str(runs_dir), "optim.lr=1"])
    with pytest.raises(StoreError, match=r"there are adding, copy_memory\. Did you mean 'adding'"):
        main([str(runs_dir), "--task", "ading"])
    with pytest.raises(StoreError, match=r"model=gruu: .*Did you mean 'gru'"):
        main([str(runs_dir), "--model", "lstm", "--model", "gruu"])
    with pytest.raises(
        ConfigError, match=r"no such run has the key task\.lenth\. Did you mean 'task\.length'"
    ):
        main([str(runs_dir), "--where", "task.lenth=50"])
    with pytest.raises(ConfigError, match=r"--sort=step must be one of model, .*Did you mean 'steps'"):
        main([str(runs_dir), "--sort", "step"])
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"):
        main([str(runs_dir), "--out", str(tmp_path / "file")])


def test_a_result_that_cannot_be_read_is_named_and_the_others_reported(
    runs_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (damaged := sorted(runs_dir.glob("adding/lstm-*/seed-[01]/result.json"))):
        path.write_text("{")
    old = next(runs_dir.glob("adding/gru-*/seed-0/result.json"))
    old.write_text(old.read_text().replace(f'"schema": {SCHEMA}', '"schema": 1'))
    assert main([str(runs_dir)]) == 0
    said = capsys.readouterr()
    assert all(f"{path} is damaged: it is no result. It is left out." in said.err for path in damaged)
    where = "/".join(old.parts[-4:-2])
    assert (
        f"1 run was stored under another schema than this version's, {SCHEMA}, and left out: {where}."
        in said.err
    )
    assert "4 seeds" in said.out  # gru; of lstm three of five are left, as many as leaky_rnn has
