"""Every format, parsed back."""

import io
import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from handmade import mixed, run
from rich.cells import cell_len
from rich.console import Console

from seqbench.results.figures import draw, save
from seqbench.results.frame import compare
from seqbench.results.rendering.blocks import blocks
from seqbench.results.rendering.data import frame_to_csv, to_csv, to_json
from seqbench.results.rendering.latex import escape, label_stem, to_latex
from seqbench.results.rendering.markdown import to_markdown
from seqbench.results.rendering.rows import duration, rows_to_csv, size
from seqbench.results.rendering.terminal import print_comparison, print_table
from seqbench.results.report import WRITERS
from seqbench.results.summaries import DEFAULT
from seqbench.results.summaries.throughput import Throughput
from seqbench.runs.result import Result
from seqbench.tasks.metrics import Metric, share


def printed(results: list, width: int = 110) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_comparison(compare(results), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_every_text_of_a_block() -> None:
    first, second = blocks(compare(mixed()))
    adding, copy = first.table, second.table
    solved = "Solved: under 1 % & published (A_B, 1997)"
    assert first.heading == f"adding: loss (squared error; lower is better). {solved}"
    assert second.heading == f"copy_memory: accuracy (higher is better). {solved}"
    assert adding.loc["lstm", "50"] == "0.003 [0.001–0.005]\n5/5 [57–100]%\n100 [100–100] steps"
    assert (
        adding.loc["gru", "50"]
        == "0.1 (0.1–0.1)\n1/4 [5–70]%\n>3k (700–3k+) steps\n3 censored at 3k\n1 failed"
    )
    assert adding.loc["leaky_rnn (alpha=0.5)", "50"].split("\n")[1:] == [
        *("2/3 [21–94]%", "100 (100–3k+) steps", "1 censored at 3k"),
        *("3 seeds", "1 diverged", "2 of 3 with a value"),
    ]
    assert adding.loc["baseline"].tolist() == ["0.167", ""]
    assert first.side == ["parameters"] and adding.loc["lstm", "parameters"] == "10.1k"
    assert copy.loc["lstm", "20"] == "90.0 [90.0–90.0] %\n0/5 [0–43]%\nnone in 3k steps"
    assert copy.index.tolist() == ["lstm"]
    assert "baseline" not in copy.index


def test_one_seed_no_value_and_other_lengths() -> None:
    (block,) = blocks(
        compare(
            [
                run(value=0.25, test={"50": {"loss": 0.25}, "200": {"loss": 0.5}}),
                run(length=100, value=None, solved_at=None, sequences_per_s=1000.0),
            ],
            [*DEFAULT, Throughput()],
        )
    )
    assert list(block.table.columns) == ["50", "50→200", "100", *block.side]
    assert block.side == ["parameters", "seq/s"]
    cells = ["0.25\n1/1 [21–100]%\n100 steps", "0.5", "–\n0/1 [0–79]%\nnone in 3k steps", "10.1k", "1k–2k"]
    assert block.table.loc["lstm"].tolist() == cells


def test_what_goes_with_the_length_is_in_the_legend_of_every_format() -> None:
    results = [run(length=n, model__chrono=f"{n}|\x1b") for n in (50, 100)] + [run("latch")]
    note = "On adding lstm has chrono=50{0}\\x1b at 50 and chrono=100{0}\\x1b at 100."
    assert note.format("|") in " ".join(printed(results).split())
    assert note.format("&#124;") in to_markdown(compare(results))
    latex = to_latex(compare(results))
    assert latex.count("lstm has chrono=50") == 1 and "On adding" not in latex


def test_data_sets_of_one_length_each_are_columns_of_one_table() -> None:
    def of(name: str, data: str, length: int, model: str, value: float, seed: int) -> Result:
        known = {"metric": "accuracy", "metrics": {"accuracy": share("accuracy")}, "solved_when": None}
        tested = {str(length): {"accuracy": value}}
        return run("ucr", model, length, seed, task__name=name, data=data, test=tested, **known)

    results = [
        of(name, name.lower(), length, model, value, seed)
        for name, length, value in (("FordA", 500, 0.75), ("Coffee", 286, 0.5))
        for model in ("gru", "lstm")
        for seed in range(3)
    ]
    (block,) = blocks(compare(results))
    assert block.task == "ucr" and block.heading == "ucr: accuracy (higher is better)"
    assert block.table.columns.tolist()[:2] == ["Coffee", "FordA"]
    assert block.table.loc["gru", "FordA"].split("\n")[0] == "75.0 (75.0–75.0) %"
    assert "Coffee & FordA" in to_latex(compare(results))
    # One of two lengths has a table of its own, and so has what differs in more.
    longer = [*results, of("Coffee", "coffee", 100, "gru", 0.5, 0)]
    assert [block.task for block in blocks(compare(longer))] == ["ucr (name=Coffee)", "ucr (name=FordA)"]


def test_data_sets_of_other_metrics_or_marks_have_tables_of_their_own() -> None:
    def of(name: str, mark: str, metric: Metric) -> Result:
        known = {"metric": metric.name, "metrics": {metric.name: metric}, "solved_when": mark}
        return run("ucr", task__name=name, data=name, test={"50": {metric.name: 0.5}}, **known)

    accuracy, rmse = share("accuracy"), Metric("rmse", "min", "kg", 0.0)
    found = [of(name, "0.9", accuracy) for name in "AB"] + [of(name, "0.9", rmse) for name in "CD"]
    found += [of(name, "0.5", accuracy) for name in "EF"]
    tables = {block.heading: [*block.table.columns] for block in blocks(compare(found, DEFAULT[:1]))}
    assert tables == {
        "ucr: accuracy (higher is better). Solved: 0.9": ["A", "B"],
        "ucr: rmse (kg; lower is better). Solved: 0.9": ["C", "D"],
        "ucr: accuracy (higher is better). Solved: 0.5": ["E", "F"],
    }
    assert to_latex(compare(found)).count(r"\label{tab:ucr") == 3


def test_a_model_may_be_called_baseline() -> None:
    runs = [run(model=name, seed=s, value=0.25) for name in ("baseline", "(baseline)") for s in range(3)]
    (block,) = blocks(compare(runs))
    assert block.table.index.tolist() == ["(baseline)", "baseline", "((baseline))"]
    assert block.table.loc["baseline", "50"].startswith("0.25 ")
    assert block.table.loc["((baseline))", "50"] == "0.167"


def test_numbers_of_a_markdown_table_stay_as_they_are_written() -> None:
    text = to_markdown(compare([run(value=1.2e-5, solved_at=None)], DEFAULT[:1]))
    assert "1.20e-5" in text or "1.2e-5" in text
    assert "e-05" not in text


def test_terminal_table_fits() -> None:
    models = ["gru", "leaky_rnn", "lstm", "rnn"]
    results = [run(t, m, n) for t in ("adding", "copy_memory") for m in models for n in (50, 100, 200, 400)]
    for width in (100, 120):
        lines = printed(results, width).splitlines()
        assert max(map(len, lines)) <= width
        assert sum("parameters" in line for line in lines) == 2
    narrow = printed([*results, run("adding", "mgu", 50)], 60).splitlines()
    assert max(map(len, narrow)) <= 60
    assert sum("parameters" in line for line in narrow) == 2, "what is of all lengths is there once"
    assert sum("mgu" in line for line in narrow) == 1, "a model is not where it has nothing"
    many = printed([run(length=n) for n in range(10, 130, 10)])
    assert max(map(len, many.splitlines())) <= 110
    assert all(re.search(rf"\b{n}\b", many) for n in range(10, 130, 10))
    assert "[57–100]%" in printed(mixed()) and "…" not in printed(mixed())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lstm", "日本語日本語"])
def test_no_cell_is_folded_where_the_terminal_has_room_for_a_column(name: str) -> None:
    results = [run(model=f"{name}{k}", length=n) for k in range(2) for n in (10, 20, 30, 40)]
    for width in range(48, 130, 3):
        text = printed(results, width)
        assert max(map(cell_len, text.splitlines())) <= width
        assert (text.count("1/1 [21–100]%"), text.count("parameters")) == (8, 1), width


def test_markdown_has_a_row_per_model() -> None:
    text = to_markdown(compare(mixed()))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    # Header and rule; models; the baseline of a loss.
    assert len(rows) == (2 + 4 + 1) + (2 + 1)
    assert all(row.count("|") == 4 for row in rows)
    assert "0.003 [0.001–0.005]<br>5/5 [57–100]%<br>100 [100–100] steps" in text


def test_latex_is_escaped_and_rectangular() -> None:
    text = to_latex(compare(mixed()))
    assert "\\label{tab:adding}\n\\smallskip\n\\resizebox" in text, "a table is clear of its caption"
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 2
    assert r"leaky\_rnn (alpha=0.5)" in text and r"copy\_memory" in text
    assert r"under 1 \% \& published (A\_B, 1997)" in text
    body = [line for line in text.splitlines() if not line.startswith(("%", "\\"))]
    assert not [line for line in body if re.search(r"(?<!\\)[%_#]|[±→–]", line)]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body if line} == {2}
    assert r"\begin{tabular}{lcr}" in text
    cell = r"\textbf{0.003 [0.001--0.005]} \\ 5/5 [57--100]\% \\ 100 [100--100] steps"
    assert r"\begin{tabular}[t]{@{}c@{}}" + cell + r"\end{tabular}" in text
    assert text.count(r"\addlinespace") == 4  # not after the last row of a table
    assert text.count("{") == text.count("}")


def test_bold_is_the_best_median_and_what_cannot_be_told_from_it() -> None:
    best = [run(model="best", seed=s, value=v) for s, v in enumerate([0.1, 0.2, 0.3, 0.4, 0.5])]
    same = [run(model="same", seed=s, value=v) for s, v in enumerate([0.3, 0.6, 0.9])]  # its range holds 0.3
    worse = [run(model="worse", seed=s, value=0.31) for s in range(5)]
    few = [run(model="few", seed=s, value=0.01) for s in range(2)]  # which have no median
    text = to_latex(compare([*best, *same, *worse, *few]))
    bold = re.findall(r"^(\w+) & [^&]*\\textbf", text, re.MULTILINE)
    assert bold == ["best", "same"] and "whose interval or range holds it" in text
    accuracies = [
        run("copy_memory", m, seed=s, value=v) for m, v in (("a", 0.9), ("b", 0.8)) for s in range(3)
    ]
    assert r"\textbf{90.0" in to_latex(compare(accuracies))  # where higher is better
    left = [replace(its, status="diverged") if its.seed > 2 else its for its in best]
    text = to_latex(compare([*left, *same, *worse]))
    assert re.findall(r"^(\w+) & [^&]*\\textbf", text, re.MULTILINE) == ["same", "worse"]
    alone = to_latex(compare(best))
    assert "textbf" not in alone and "Bold" not in alone


def test_no_two_tables_have_one_label() -> None:
    text = to_latex(compare([run(task__shift=shift) for shift in (-1, 1, 2)]))
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert labels == ["tab:adding-shift-1", "tab:adding-shift-1-2", "tab:adding-shift-2"]


def test_labels_are_of_letters_and_as_long_as_a_name_of_a_file_may_be() -> None:
    assert label_stem("\u65e5\u672c", ()) == "task" and label_stem("\u65e5", ("task",)) == "task-2"
    assert len(label_stem("a=1, " * 100, ())) <= 100


#: Names of models as people and machines give them.
NAMES = (
    *(
        "a&b",
        "a_b",
        "a%b",
        'a"b',
        "a'b",
        "a<b>",
        "a$b",
        "a^b~c",
        "a{b}",
        "a#b",
        "a|b",
        "a\\b",
        "[a]",
        "*",
        "\u00e9",
    ),
    *(
        "\u65e5\u672c",
        "\u03b1-net",
        "e\u0301",
        "\u1ebd",
        "\u0142\u00df",
        "\u00ab",
        "\u0111",
        "\U0001f600",
        "\u221a2\u00b2",
    ),
)


def test_latex_has_a_sign_or_the_code_of_every_character() -> None:
    assert escape("\u03b1 \u00e9 e\u0301 |") == "$\\alpha$ \u00e9 \u00e9 $|$"
    assert escape("\u65e5\u1ebd") == r"\texttt{U+65E5}\texttt{U+1EBD}"
    assert escape("[a]\n[b") == "{[}a]\n{[}b"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex here")
def test_latex_compiles_whatever_models_and_tasks_are_called(tmp_path: Path) -> None:
    results = [
        run("t\u65e5_%", name, n, seed, solved_when="\u2264 1 % \u2013 \u201cq\u201d")
        for name in NAMES
        for n in (20, 50, 100)
        for seed in range(3)
    ]
    packages = (
        r"\documentclass[twocolumn]{article}\usepackage{booktabs,graphicx}\textheight=60cm\begin{document}"
    )
    (tmp_path / "page.tex").write_text(f"{packages}\n{to_latex(compare(results))}\n\\end{{document}}\n")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, check=False)
    assert b"Overfull" not in ended.stdout, "no table runs off the page"
    assert ended.returncode == 0, ended.stdout.decode(errors="replace")[-2000:]


def test_csv_and_json_hold_the_same_tidy_numbers() -> None:
    comparison = compare(mixed())
    frame = comparison.frame
    csv = pd.read_csv(io.StringIO(to_csv(comparison)))
    rows = json.loads(to_json(comparison))
    assert len(csv) == len(rows) == 5
    assert list(csv.columns) == list(rows[0]) == list(frame.columns)
    pd.testing.assert_frame_equal(csv[["median", "low", "solve_low"]], frame[["median", "low", "solve_low"]])
    medians = [row["median"] for row in rows if row["median"] is not None]
    assert medians == pytest.approx(frame["median"].dropna().tolist(), rel=1e-12)
    assert [json.loads(values) for values in csv["values"].dropna()] == [
        row["values"] for row in rows if row["values"] is not None
    ]
    gru = next(i for i, row in enumerate(rows) if (row["task"], row["model"]) == ("adding", "gru"))
    assert csv.loc[gru, "median_steps"] == float("inf") and rows[gru]["median_steps"] is None
    assert rows[gru]["median"] == pytest.approx(0.1) and rows[gru]["seeds"] == 4
    small = 3.7037036712345678e-12
    comparison.frame.loc[gru, "median"] = small
    assert json.loads(to_json(comparison))[gru]["median"] == small, "digits count, and not decimals"


def test_any_table_on_a_terminal() -> None:
    table = pd.DataFrame({"steps": ["10", "200"], "norm": ["0.5", "–"]}, index=["rnn", "lstm"])

    def lines(index: bool) -> list[list[str]]:
        console = Console(file=io.StringIO(), width=80)
        print_table(table, "The norm at initialisation.", index=index, console=console)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        return [words for line in text.splitlines() if (words := line.replace("─", "").split())]

    notes = ["The", "norm", "at", "initialisation."]
    assert lines(index=True) == [["steps", "norm"], ["rnn", "10", "0.5"], ["lstm", "200", "–"], notes]
    assert lines(index=False) == [["steps", "norm"], ["10", "0.5"], ["200", "–"], notes]


@pytest.mark.slow
def test_text_of_a_result_is_text_in_every_format(tmp_path: Path) -> None:
    bad = {"solved_when": "\x1b]0;x\x07 | <b>[x](y)", "metric": "$x$", "metrics": {"$x$": share("$x$")}}
    bad["test"] = {"50": {"$x$": 0.5}}
    results = [
        run("=1+1", "[a\n\\input{x}", **bad),
        run("-2", "@SUM(A1)", **bad),
        run("+1.5e3", "\u202eb", **bad),
    ]
    comparison = compare(results)
    for text in (printed(results), *(write(comparison) for write in WRITERS.values())):
        assert all(line.isprintable() for line in text.split("\n"))
        assert r"\x1b]0;x\x07" in text.replace(r"\\", "\\").replace(r"\textbackslash{}", "\\")
    csv = pd.read_csv(io.StringIO(to_csv(comparison)), dtype=str)
    assert set(csv["task"]) == {"'=1+1", "-2", "+1.5e3"}  # a number is no formula
    assert set(csv["model"]) == {r"[a\n\input{x}", "'@SUM(A1)", r"\u202eb"}
    assert not any(cell.startswith(("=", "@")) for cell in map(str, csv.to_numpy().flat))
    markdown = to_markdown(comparison)
    assert "&#124; &lt;b>[x]\\(y)" in markdown and "<b>" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {4}
    latex = to_latex(comparison)
    assert r"{[}a\textbackslash{}n\textbackslash{}input\{x\} &" in latex and r"\$x\$" in latex
    for path in save(draw(comparison.frame), tmp_path / "figure"):
        assert path.stat().st_size > 0


def test_a_number_is_no_formula() -> None:
    frame = pd.DataFrame({"a": ["-1", "+2.5e-3", "-", "=", "-x", "\t=x"], "b": [-1.0, 2, 3, 4, 5, 6]})
    safe = pd.read_csv(io.StringIO(frame_to_csv(frame)))
    assert safe["a"].to_list() == ["-1", "+2.5e-3", "-", "=", "'-x", "'\t=x"]
    assert safe["b"].to_list() == frame["b"].to_list()


def test_digits_that_are_rounding_are_in_no_csv() -> None:
    rows = [{"a": 0.1 + 0.2, "b": 1 - 0.8, "steps": math.inf, "n": 12_345_678_901}]
    expected = "a,b,steps,n\n0.3,0.2,inf,12345678901\n"
    assert rows_to_csv(rows) == frame_to_csv(pd.DataFrame(rows)) == expected
    assert frame_to_csv(pd.DataFrame({"a": [2 / 3]}), digits=4) == "a\n0.6667\n"


def test_sizes_and_times_in_three_digits() -> None:
    assert [size(n) for n in (0, 999, 12_500, 1.2e6, 5e13)] == ["0 B", "999 B", "12.5 kB", "1.2 MB", "50 TB"]
    times = [duration(s) for s in (0.4, 40, 840, 12_600, 1e6)]
    assert times == ["0.4 s", "40 s", "14 min", "3.5 h", "12 d"]
