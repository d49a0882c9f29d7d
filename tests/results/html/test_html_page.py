"""The page of `seqbench report --format html`: its numbers are the report's, its text is text."""

import ast
import base64
import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.results.handmade import failed, mixed, run, write
from tests.runs.handmade import begin, result
from tests.test_arrows import imports

import seqbench
from seqbench.cli.report import main
from seqbench.errors import ConfigError
from seqbench.results.comparing.comparison import compare_models
from seqbench.results.frame import Comparison, compare
from seqbench.results.html.cost import cost_panels
from seqbench.results.html.detail import Detail
from seqbench.results.html.headline import headline
from seqbench.results.html.leaderboard import leaderboard
from seqbench.results.html.lengths import length_panels
from seqbench.results.html.matrix import matrices
from seqbench.results.html.steps import step_panels
from seqbench.results.html.traces import Panel, plain
from seqbench.results.progress import solved_shares
from seqbench.results.summaries import DEFAULT
from seqbench.runs.result import Result

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>%{x}"


def compared(results: list[Result]) -> Comparison:
    return compare(results, [*DEFAULT, Detail()])


def of(panel: Panel, model: str, **wanted: Any) -> list[dict[str, Any]]:
    """Return the traces of a model that have these values."""
    return [
        trace
        for trace in panel.data
        if trace.get("meta") == model and all(trace.get(key) == value for key, value in wanted.items())
    ]


class Page(HTMLParser):
    """What a page holds: elements with their attributes, and the texts of cells by the table's id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = text
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def packed(self, name: str) -> str:
        (found,) = re.findall(rf'<script type="text/plain" id="{name}">([^<]*)</script>', self.text)
        return gzip.decompress(base64.b64decode(found)).decode()

    @property
    def data(self) -> Any:
        return json.loads(self.packed("data"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    """Two pages: of runs of many kinds, and of runs whose every text is hostile."""
    place = tmp_path_factory.mktemp("pages")
    runs = write(place / "runs", [*mixed(), *(run(length=100, seed=s, solved_at=None) for s in range(5))])
    begin(runs, result(seed=7))
    bad = [
        run("=1+1", f"evil{n}{HOSTILE.replace('/', '_')}", seed=seed, solved_when=HOSTILE, device=HOSTILE)
        for n in (1, 2)
        for seed in range(3)
    ]
    bad.append(failed(model="lstm", task="=1+1", error=HOSTILE, model__note=HOSTILE, commit=HOSTILE))
    hostile = write(place / "hostile", bad)
    found = {}
    for folder in (runs, hostile):
        words = [
            str(folder),
            "--format",
            "html",
            "--out",
            str(place),
            "--name",
            folder.name,
            "--note",
            HOSTILE,
        ]
        assert main(words) == 0
        found[folder.name] = Page((place / f"{folder.name}.html").read_text())
    return found


def test_it_is_one_file_that_fetches_nothing_and_runs_two_scripts(pages: dict[str, Page]) -> None:
    page = pages["runs"]
    assert len(page.text) < 4e6
    tags = [tag for tag, _ in page.elements]
    assert not {"link", "iframe", "object", "embed", "base"} & {*tags}
    assert all(not attrs.get("src") for _, attrs in page.elements)
    assert all((attrs.get("href") or "#").startswith("#") for _, attrs in page.elements)
    (policy,) = [a["content"] for _, a in page.elements if a.get("http-equiv")]
    assert policy is not None and policy.startswith("default-src 'none'") and policy.count("'sha256-") == 2
    assert "Plotly" in page.packed("plotly")


def test_what_comes_from_a_file_is_text(pages: dict[str, Page]) -> None:
    page = pages["hostile"]
    assert "<img" not in page.text and "window.hacked=1</script>" not in page.text.replace("&lt;", "")
    assert sum(tag == "script" for tag, _ in page.elements) == 3  # two that are packed, and the page's own
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    hovers = [
        text
        for its in page.data["panels"].values()
        for p in its
        for t in p["data"]
        for text in [*t.get("hovertext", ()), t.get("name", "")]
    ]
    assert hovers and not any("<img" in text or "%{x}" in text for text in hovers)


def test_every_run_has_its_state_and_what_makes_it_again(pages: dict[str, Page]) -> None:
    page = pages["runs"]
    rows = [attrs["data-state"] for tag, attrs in page.elements if tag == "tr" and attrs.get("data-state")]
    assert rows[:3] == ["failed", "diverged", "stopped"]  # what went wrong comes first
    assert len(rows) == len(page.data["runs"]) == len(mixed()) + 5 + 1
    broken, _, stopped = page.data["runs"][:3]
    assert stopped["command"] == (
        "seqbench task=adding model=lstm task.length=50 optim.lr=0.01 trainer.max_steps=200 seed=7"
    )
    assert "task.length: 50" in stopped["configuration"]
    assert broken["error"] == "out of memory" and broken["commit"] == "unknown"
    assert "<li>gru on adding: none at 100.</li>" in page.text  # of five runs at 50 one failed, and is there
    assert "leaky_rnn (alpha=0.5) on adding: 3 of 5 runs at 50, none at 100." in page.text


def test_the_rows_of_the_leaderboard_are_those_of_the_report() -> None:
    comparison = compared(mixed())
    lines = {(line.task, line.model): line.entries for line in leaderboard(comparison)}
    lstm = lines["adding", "lstm"]
    assert lstm["solved"].text == "5/5 [57–100]%" and float(lstm["solved"].key) == -1
    assert lstm["metric"].text == "0.003 [0.001–0.005]" and float(lstm["metric"].key) == 0.003
    assert lstm["steps"].text == "100 [100–100]" and lstm["parameters"].text == "10.1k"
    gru = lines["adding", "gru"]
    assert gru["steps"].key == "1e308" and gru["note"].text == "1 failed"
    assert [line.model for line in leaderboard(comparison, ranked=False)][:2] == [
        "gru",
        "leaky_rnn (alpha=0.5)",
    ]


def test_the_headline_ranks_by_the_longest_length() -> None:
    long = [
        run(model="gru", length=100, seed=s, value=0.1, solved_at=100 if s < 2 else None) for s in range(3)
    ]
    long += [run(length=100, seed=s, solved_at=200 if s < 1 else None) for s in range(3)]
    short = [run(length=50, seed=s) for s in range(3)]
    (table,) = headline(compared([*long, *short]), {("adding", "lstm"): "80 [60–100]"})
    assert table.columns == ["50", "100"] and [line.model for line in table.lines] == ["gru", "lstm"]
    gru, lstm = table.lines
    assert "50" not in gru.cells and lstm.span == "80 [60–100]" and gru.span == "" and table.has_spans
    cell = gru.cells["100"]
    assert (cell.solved, cell.rate, cell.metric) == ("2/3", pytest.approx(2 / 3), "0.1 (0.1–0.1)")
    assert cell.low == pytest.approx(0.2077, abs=1e-4) and cell.high == pytest.approx(0.9385, abs=1e-4)
    in_its_order = headline(compared([*long, *short]), {}, ranked=False)[0]
    assert [line.model for line in in_its_order.lines] == ["lstm", "gru"]


def test_the_steps_are_those_of_kaplan_and_meier() -> None:
    results = [run(seed=s, solved_at=at) for s, at in enumerate([100, 300, None, 200])]
    comparison = compared(results)
    (panel,) = step_panels(comparison)
    line, marks, crosses = of(panel, "lstm")
    shares = solved_shares(comparison.frame)
    assert line["x"] == [0, 100, 200, 300, 3000]
    assert line["y"] == [0, 0.25, 0.5, 0.75, 0.75] and line["line"]["shape"] == "hv"
    assert marks["x"] == shares["step"].tolist() and marks["y"] == shares["share"].tolist()
    assert (
        "seed 3 solved it at step 200" in marks["hovertext"][1] and "50% of 4 runs [" in marks["hovertext"][1]
    )
    assert crosses["y"] == [0.75] and crosses["hovertext"] == [
        "<b>lstm</b><br>seed 2 did not solve it in 3,000 steps"
    ]


def test_cells_of_the_matrix_are_those_of_compare() -> None:
    results = [run(seed=s) for s in range(5)] + [run(model="gru", seed=s, solved_at=None) for s in range(5)]
    results += [run(model="rnn", seed=s, solved_at=100 if s < 3 else None) for s in range(5)]
    (found,) = matrices(results)
    (matrix,) = found.of_lengths
    contrasts = compare_models(results, ["gru", "lstm", "rnn"], of=["solved"]).contrasts
    assert matrix.models == ("gru", "lstm", "rnn") and len(matrix.cells) == 2 * len(contrasts)
    for its in contrasts:
        cell, turned = matrix.cells[its.first, its.second], matrix.cells[its.second, its.first]
        assert cell.text.replace("−", "-") == f"{100 * its.difference:+.0f}"
        assert cell.side == (1 if its.difference > 0 else -1) == -turned.side
        assert cell.sure == turned.sure == (its.p_holm <= 0.05)
    assert matrix.cells["gru", "lstm"].sure and not matrix.cells["gru", "rnn"].sure
    assert "gru 0/5, lstm 5/5" in matrix.cells["gru", "lstm"].told


def test_a_loss_is_compared_by_its_ratio_where_nothing_is_solved() -> None:
    results = [
        run(model=model, seed=s, value=value * (1 + s / 10), solved_at=None, solved_when=None)
        for model, value in (("lstm", 0.01), ("gru", 0.1))
        for s in range(6)
    ]
    (found,) = matrices(results)
    cell = found.of_lengths[0].cells["lstm", "gru"]
    assert cell.text == "×0.1" and cell.side == 1 and cell.sure
    assert found.of_lengths[0].cells["gru", "lstm"].text == "×10"


def test_runs_of_other_budgets_are_not_compared_and_the_page_says_so() -> None:
    results = [run(trainer__max_steps=5), run(model="gru", trainer__max_steps=6)]
    (found,) = matrices(results)
    assert not found.of_lengths and "differ in trainer.max_steps" in found.notes[0]


def test_solve_rates_have_their_intervals_and_every_seed_is_a_dot() -> None:
    values = {50: [0.001, 0.002, 0.004], 100: [0.1, 0.2, 0.4]}
    results = [run(length=n, seed=s, value=v) for n, its in values.items() for s, v in enumerate(its)]
    results += [run(model="gru", length=n) for n in values]
    rates, metric = length_panels(compared(results))
    (lstm,) = of(rates, "lstm")
    assert lstm["y"] == [1, 1] and lstm["error_y"]["arrayminus"] == pytest.approx([0.56150] * 2, abs=1e-4)
    assert lstm["hovertext"][0] == "<b>lstm</b> at 50<br>3/3 [44–100]%"
    assert lstm["x"] == pytest.approx([50, 100], rel=0.02) and rates.layout["xaxis"]["ticktext"] == [
        "50",
        "100",
    ]
    dots, middle = of(metric, "lstm")
    assert dots["y"] == [*values[50], *values[100]] and middle["y"] == [0.002, 0.2]
    assert dots["hovertext"][4] == "<b>lstm</b> at 100<br>seed 1: 0.2"
    assert metric.layout["yaxis"]["type"] == "log" and metric.data[0]["hovertext"][0].startswith("baseline")
    assert metric.layout["yaxis"]["title"]["text"] == "test loss (squared error)"


def test_of_one_length_each_model_has_a_row() -> None:
    rates, metric = length_panels(compared([run(seed=s) for s in range(3)] + [run(model="gru")]))
    assert rates.layout["yaxis"]["ticktext"] == ["gru", "lstm"]
    assert of(rates, "lstm")[0]["y"] == [1] and of(rates, "lstm")[0]["x"] == [1]
    assert metric.layout["xaxis"]["title"]["text"] == "test loss (squared error)"


def test_quality_is_against_what_runs_have() -> None:
    known = {"wall_time_s": 4.0, "peak_memory_bytes": 2_000_000}
    panels = cost_panels(compared([run(seed=s, **known) for s in range(3)]))
    assert [panel.title for panel in panels] == [
        *(
            "adding at 50: live parameters",
            "adding at 50: training time of a run",
            "adding at 50: peak memory",
        )
    ]
    assert [of(panel, "lstm")[0]["x"] for panel in panels] == [[10050], [4], [2]]
    assert of(panels[0], "lstm")[0]["y"] == [0.001]


def test_text_for_plotly_holds_no_element_and_no_placeholder() -> None:
    assert plain("a<b>&%{x}\x1b") == "a&lt;b&gt;&amp;%&#123;x}\\x1b"


def test_a_page_wants_a_folder(tmp_path: Path) -> None:
    runs = write(tmp_path / "runs", [run()])
    with pytest.raises(ConfigError, match="--format html wants a folder to write the page into: --out DIR"):
        main([str(runs), "--format", "html"])
    with pytest.raises(ConfigError, match="--figure is not for a page"):
        main([str(runs), "--format", "html", "--out", str(tmp_path), "--figure"])
    for more in (["--format", "md"], ["--figure"]):
        with pytest.raises(ConfigError, match="--out writes md, csv, tex, json and the figure; leave out"):
            main([str(runs), "--out", str(tmp_path / "out"), *more])
    assert not (tmp_path / "out").exists()


def test_a_table_needs_no_plotly() -> None:
    source = Path(seqbench.__file__).parent
    for path in [*source.glob("cli/*.py"), *source.glob("results/*.py"), *source.glob("results/html/*.py")]:
        found = {*imports(ast.parse(path.read_text()), at_run_time=True)}
        assert not [name for name in found if name.split(".")[0] in ("plotly", "jinja2")], path
        of_the_page = path.parent.name == "html" or path.name == "page.py"
        assert of_the_page or not [name for name in found if name.startswith("seqbench.results.html")], path
