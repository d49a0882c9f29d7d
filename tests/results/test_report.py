"""Every format, parsed back, and the command."""

import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from handmade import mixed, run, write
from rich.console import Console

from seqbench.errors import StoreError
from seqbench.results.report import (
    blocks,
    count,
    main,
    number,
    print_report,
    print_table,
    to_csv,
    to_json,
    to_latex,
    to_markdown,
)
from seqbench.results.tables import compare


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    return write(tmp_path / "runs", mixed())


def printed(results: list, width: int = 110) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_table(compare(results), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_numbers_are_short() -> None:
    assert [count(n) for n in (0, 999, 999.9, 12_345, 1_200_000)] == ["0", "999", "1k", "12.3k", "1.2M"]
    assert [number(x) for x in (0, 1 / 6, 1.234e-4, 1.5e10)] == ["0", "0.167", "1.23e-4", "1.5e10"]
    assert number(float("nan")) == count(None) == "–"


def test_cells_say_it_all() -> None:
    (adding_head, adding), (copy_head, copy) = blocks(compare(mixed()))
    assert adding_head == "adding: loss (lower is better). Solved: under 1 % & published (A_B, 1997)"
    assert copy_head.startswith("copy_memory: accuracy (higher is better)")
    assert adding.loc["lstm", "50"] == "0.003 ±0.002\n5/5 [57–100]%\n100 steps"
    assert adding.loc["gru", "50"] == "0.1 ±0\n1/4 [5–70]%\nnever\n1 failed"
    assert adding.loc["leaky_rnn (alpha=0.5)", "50"].split("\n")[1:] == [
        *("2/3 [21–94]%", "100 steps", "3 of 5 seeds", "1 diverged", "mean of 2")
    ]
    assert adding.loc["baseline"].tolist() == ["0.167", "", ""]
    assert adding.loc["lstm", ["parameters", "seq/s"]].tolist() == ["10.1k", "2k"]
    assert copy.loc["lstm", "20"] == "90.0 ±0.0 %\n0/5 [0–43]%\nnever"
    assert copy.loc["gru"].tolist() == ["not run", "–", "–"]
    assert "baseline" not in copy.index


def test_one_seed_no_value_and_other_lengths() -> None:
    ((_, table),) = blocks(
        compare(
            [
                run(value=0.25, test={"50": {"loss": 0.25}, "200": {"loss": 0.5}}),
                run(length=100, value=None, solved_at=None, sequences_per_s=1000.0),
            ]
        )
    )
    assert list(table.columns) == ["50", "50→200", "100", "parameters", "seq/s"]
    cells = ["0.25\n1/1 [21–100]%\n100 steps", "0.5", "–\n0/1 [0–79]%\nnever", "10.1k", "1k–2k"]
    assert table.loc["lstm"].tolist() == cells


def test_terminal_table_fits() -> None:
    models = ["gru", "leaky_rnn", "lstm", "rnn"]
    results = [run(t, m, n) for t in ("adding", "copy_memory") for m in models for n in (50, 100, 200, 400)]
    for width in (100, 120):
        lines = printed(results, width).splitlines()
        assert max(map(len, lines)) <= width
        assert sum("parameters" in line for line in lines) == 2
    many = printed([run(length=n) for n in range(10, 130, 10)])
    assert max(map(len, many.splitlines())) <= 110
    assert all(re.search(rf"\b{n}\b", many) for n in range(10, 130, 10))
    assert "[57–100]%" in printed(mixed()) and "…" not in printed(mixed())


def test_markdown_has_a_row_per_model() -> None:
    text = to_markdown(compare(mixed()))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    # Header and rule; models, one of them not run on the second task; the baseline of a loss.
    assert len(rows) == (2 + 4 + 1) + (2 + 2)
    assert all(row.count("|") == 5 for row in rows)
    assert "0.003 ±0.002<br>5/5 [57–100]%<br>100 steps" in text


def test_latex_is_escaped_and_rectangular() -> None:
    text = to_latex(compare(mixed()))
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 2
    assert r"leaky\_rnn (alpha=0.5)" in text and r"copy\_memory" in text
    assert r"under 1 \% \& published (A\_B, 1997)" in text
    body = [line for line in text.splitlines() if not line.startswith(("%", "\\"))]
    assert not [line for line in body if re.search(r"(?<!\\)[%_#]|[±→–]", line)]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body if line} == {3}
    assert r"\begin{tabular}{lcrr}" in text
    assert r"\shortstack{0.003 $\pm$0.002 \\ 5/5 [57--100]\% \\ 100 steps}" in text
    assert text.count("{") == text.count("}")


def test_csv_and_json_hold_the_same_tidy_numbers() -> None:
    frame = compare(mixed())
    csv = pd.read_csv(io.StringIO(to_csv(frame)))
    rows = json.loads(to_json(frame))
    assert len(csv) == len(rows) == 6
    assert list(csv.columns) == list(rows[0]) == list(frame.columns)
    pd.testing.assert_frame_equal(csv[["mean", "low", "solve_low"]], frame[["mean", "low", "solve_low"]])
    means = [row["mean"] for row in rows if row["mean"] is not None]
    assert means == pytest.approx(frame["mean"].dropna().tolist(), rel=1e-12)
    gru = next(i for i, row in enumerate(rows) if (row["task"], row["model"]) == ("adding", "gru"))
    assert csv.loc[gru, "median_steps"] == float("inf") and rows[gru]["median_steps"] is None
    assert rows[gru]["mean"] == pytest.approx(0.1) and rows[gru]["seeds"] == 4


def test_prints_the_format_asked_for(runs_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = compare(mixed())
    for name, write_ in {"md": to_markdown, "latex": to_latex, "csv": to_csv, "json": to_json}.items():
        assert main([str(runs_dir), "--format", name]) == 0
        assert capsys.readouterr().out == write_(frame)
    assert main([str(runs_dir), "--task", "copy_memory"]) == 0
    out = capsys.readouterr().out
    assert "copy_memory" in out and "adding" not in out and "gru" not in out


def test_out_writes_every_format_and_the_figure(runs_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    assert main([str(runs_dir), "--out", str(out), "--name", "span"]) == 0
    names = {path.name for path in out.iterdir()}
    assert names == {f"span.{suffix}" for suffix in ("md", "csv", "tex", "json", "svg", "png")}
    assert len(pd.read_csv(out / "span.csv")) == 6


def test_files_say_where_their_numbers_come_from(tmp_path: Path) -> None:
    made = {"commit": 40 * "a" + "+", "wall_time_s": 1800.0, "device": "A CPU", "versions": {"torch": "2.0"}}
    write(tmp_path / "runs", [run(seed=seed, **made) for seed in (0, 1, 4)])
    main([str(tmp_path / "runs"), "--out", str(tmp_path), "--note", "seqbench task=adding"])
    origin = "3 runs, seeds 0, 1, 4; commit aaaaaaaaa+; torch 2.0 on A CPU; 1.5 h of training in all, until "
    for suffix, start in (("md", ""), ("tex", "% ")):
        lines = (tmp_path / f"report.{suffix}").read_text().splitlines()
        assert f"{start}Command: seqbench task=adding" in lines
        assert any(line.startswith(start + origin) for line in lines)


def test_figure_alone_goes_here(runs_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--figure"]) == 0
    assert (tmp_path / "report.svg").exists() and (tmp_path / "report.png").exists()


def test_print_report_keeps_to_its_folders(runs_dir: Path) -> None:
    console = Console(file=io.StringIO(), width=110)
    print_report((runs_dir / "copy_memory").iterdir(), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "copy_memory" in text and "adding" not in text
    with pytest.raises(StoreError, match="no results in"):
        print_report([])


def test_errors_are_one_sentence(runs_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no results in"):
        main([str(tmp_path / "none")])
    with pytest.raises(StoreError, match=r"there are adding, copy_memory\. Did you mean 'adding'"):
        main([str(runs_dir), "--task", "ading"])
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"):
        main([str(runs_dir), "--out", str(tmp_path / "file")])
    next(runs_dir.glob("*/*/seed-0/result.json")).write_text("{")
    with pytest.raises(StoreError, match="is not a result"):
        main([str(runs_dir)])
