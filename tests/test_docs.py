"""README and docs: every command and every piece of code runs, and what a page names is there."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from seqbench.cli import main, watch
from seqbench.cli.dispatch import NAMES
from seqbench.config.presets import preset_names
from seqbench.data.archives import Series, write_series
from seqbench.data.images import write_images
from seqbench.data.source import mirror_file
from seqbench.data.uea import SOURCE as UEA
from tests.runs.handmade import result, store

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "example"
#: Each page's text, by its path in the repository.
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")))
}


def blocks(language: str, *pages: str) -> list[str]:
    """Return the pieces of code of a language, of all pages or of these."""
    texts = [PAGES[page] for page in pages or PAGES]
    return [block for text in texts for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)]


CHAPTER = "docs/chapter.md"


def commands(*pages: str) -> list[str]:
    """Return every command of pages, once, however many have it."""
    lines = (line for block in blocks("bash", *pages) for line in block.splitlines())
    return list(dict.fromkeys(line.partition(" #")[0].strip() for line in lines))


#: `test_clusters_page.py` runs the commands of its page; those of the chapter build on one another.
COMMANDS = commands(*(page for page in PAGES if page not in ("docs/clusters.md", CHAPTER)))
#: What makes a training command short. What comes last on the command line counts.
SMALL = ["trainer.max_steps=2", "trainer.eval_every=1", "n_seeds=1"]
#: The command that logs to a dashboard here as for a reader; opening one takes most of a short run.
WITH_DASHBOARD = "seqbench task=adding model=lstm"
#: Tasks of which all data are evaluated.
WHOLE = ("task=g2p", "task=words", "task=text", "task=ptb_char", "task=ptb_word")
WHOLE += ("task=table", "task=uea", "task=japanese_vowels")
#: What trains the run that the page on data predicts with.
TRAINED = "seqbench task=table task.path=data/patients.csv task.id=patient task.target=outcome"
TRAINED += " batch_size=8 model=gru"
#: The commands that take more than a few seconds.
SLOW = "slurm|seqbench search|span task|long_dependency|seqbench dashboard|trackio|--format html|--figures"
#: A command that trains: one without a word of its own. Those of README run with the fast tests.
TRAINS = "seqbench (-m|[a-z/]+=)"


def is_slow(command: str) -> bool:
    """Return whether a command takes more than a moment, and is run with the slow tests."""
    trains = re.match(TRAINS, command) or command.startswith("seqbench predict")
    return bool(re.search(SLOW, command) or (trains and command not in commands("README.md")))


#: What this machine need not have.
INSTEAD = {
    "trainer=ddp": "trainer.devices=1",
    "trainer=ddp_cpu": "trainer.accelerator=cpu",  # it would start the tests once more
    "hydra/launcher=slurm": "hydra/launcher=local",
}


@pytest.fixture
def surroundings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dictionary: None, treebank: None
) -> Iterator[None]:
    """Put what the pages speak of into the empty folder: the example, data, a preset, results."""
    shutil.copytree(EXAMPLE, ".", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    rng = np.random.default_rng(0)
    for split, count in (("train", 120), ("test", 20)):
        path = mirror_file("mnist", split, "data")
        path.parent.mkdir(parents=True, exist_ok=True)
        images = rng.integers(256, size=(count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        write_images(images, labels, [str(i) for i in range(10)], path, lambda _: None)
    for name in UEA.names:
        for split in ("train", "test"):
            path = mirror_file(f"uea/{name}", split, "data")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_series([Series([[0.1 * i, 0.2]] * 2, str(i % 2)) for i in range(100)], path)
    Path("book.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 2000, encoding="utf-8")
    Path("presets/model/mine.yaml").write_text(blocks("yaml", "docs/extending.md")[0])
    Path("results").mkdir()
    for name in ("search", "quickstart"):
        shutil.copy(ROOT / f"results/{name}.jsonl", "results")
    Path("entrants.txt").write_text("model=gru\nlabel=tuned model=gru optim.lr=0.02\n")
    Path("wanted.txt").write_text("model=rnn,gru optim.lr=0.01\n")
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "lab"]:
        del sys.modules[name]  # the next test has another copy of it


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    words = [INSTEAD.get(word, word) for word in shlex.split(command)]
    if words[1] == "search":
        words += [
            *SMALL[:2],
            "search.n_seeds=1",
            "search.n_trials=2",
            "search.bracket=2",
            "task.eval_size=20",
        ]
    elif words[1] == "span":
        words += [*SMALL[:2], "n_seeds=3", "max=10", "task.eval_size=20", "logger=none"]
    elif words[1] not in (*NAMES, "--cfg"):
        words += SMALL
        if "logger" not in command and command != WITH_DASHBOARD:
            words.append("logger=none")
        if "long_dependency" in command:
            words.append("task.length=20")
        if not {*WHOLE} & {*words}:
            words.append("task.validation_size=20" if "mnist" in command else "task.eval_size=20")
    words = [str(sorted(Path().glob(word))[0]) if "*" in word else word for word in words]
    if "--watch" in words:
        monkeypatch.setattr(watch, "sleep", lambda _: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(sys, "argv", words)
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, marks=pytest.mark.slow if is_slow(command) else ())
        for command in COMMANDS
        if command.startswith("seqbench ")
    ],
)
@pytest.mark.usefixtures("surroundings")
def test_every_command_runs(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "logger=trackio" in command and importlib.util.find_spec("trackio") is None:
        pytest.skip("Trackio is not installed")  # once it is imported it has chosen its folder
    if command.startswith(
        tuple(f"seqbench {word}" for word in ("report", "compare", "plot", "dashboard", "runs"))
    ):
        store(Path("runs"), result())
        store(Path("runs"), result(model="gru"))
        store(Path("runs"), result(task="table"))
    if command.startswith("seqbench predict"):
        assert run(TRAINED, monkeypatch) == 0
    if "import" in command:
        run(command.replace("import", "export"), monkeypatch)
    stand_in = "--check" in command  # the data here have fewer rows than those that are pinned
    assert run(command, monkeypatch) == stand_in


def test_every_other_command_is_a_script_that_is_there_or_installs() -> None:
    others = [command for command in COMMANDS if not command.startswith("seqbench ")]
    assert "source .venv/bin/activate" in others
    for command in others:
        first, *rest = command.removeprefix(".venv/bin/python ").split()
        if first.startswith("scripts/"):
            assert (ROOT / first).stat().st_mode & 0o111
        elif first == "pip":
            assert " ".join(rest[:4]) == "install -c constraints.txt -e"
        else:
            assert command == "source .venv/bin/activate"


def test_what_is_installed_is_an_extra() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    named = {name for text in PAGES.values() for name in re.findall(r"'\.\[(\w+)\]'", text)}
    assert {"search", "slurm", "ray", "dashboard", "trackio"} <= named
    assert all(f"\n{name} = [" in project for name in named)


@pytest.mark.parametrize("code", blocks("python"))
def test_every_piece_of_code_runs(code: str) -> None:
    exec(code, {"__name__": "example"})


def bare(definition: ast.stmt) -> str:
    """Return a class or a function without its docstrings and annotations."""
    for node in ast.walk(definition):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(definition)


def definitions(code: str) -> dict[str, str]:
    found = [node for node in ast.parse(code).body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return {node.name: bare(node) for node in found}


def test_the_code_of_the_page_is_that_of_the_example() -> None:
    files: dict[str, str] = {}
    for path in EXAMPLE.glob("lab/*.py"):
        files |= definitions(path.read_text())
    shown: dict[str, str] = {}
    for code in blocks("python", "docs/extending.md"):
        shown |= definitions(code)
    assert {*shown} == {"Decay", "FirstSymbol", "Words", "split_of", "Lines"}
    for name, code in shown.items():
        assert code == files[name], name
    presets = [yaml.safe_load(path.read_text()) for path in EXAMPLE.glob("presets/**/*.yaml")]
    for text in blocks("yaml", "docs/extending.md")[1:]:
        assert yaml.safe_load(text) in presets


def anchors(text: str) -> set[str]:
    """Return what links may name after a #: the headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        path, _, anchor = link.partition("#")
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert target.is_relative_to(ROOT) and target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def test_readme_is_short_and_leads_to_every_page() -> None:
    readme = PAGES["README.md"]
    assert len(readme.splitlines()) < 200
    for page in PAGES:
        assert page == "README.md" or f"]({page})" in readme, page


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_of_one_length(page: str) -> None:
    prose = re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL)
    for line in prose.splitlines():
        assert len(line) <= 120 or line.startswith("|"), line


@pytest.mark.parametrize(("page", "group"), [("docs/models.md", "model"), ("docs/tasks.md", "task")])
def test_the_catalogues_have_every_preset_and_no_other(page: str, group: str) -> None:
    rows = re.findall(r"^\| (`[a-z0-9_]+`(?:, `[a-z0-9_]+`)*) \|", PAGES[page], re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(preset_names(group))


def test_the_changelog_counts_the_presets() -> None:
    for group in ("model", "task"):
        assert f"- **{group.title()}s**: {len(preset_names(group))} presets." in PAGES["CHANGELOG.md"]


def test_the_figures_of_speed_are_those_of_its_page() -> None:
    measured = json.loads((ROOT / "results" / "speed.json").read_text())["headline"]
    alone = {
        row["cell"]: (f"{row['to torch']:.2f}", f"{row['to JAX']:.2f}")
        for row in measured
        if row["seeds"] == 1
    }
    for cell, (to_torch, to_jax) in alone.items():
        assert f"| `{cell}` | {to_torch} | {to_jax} |" in PAGES["docs/speed.md"]
    readme = " ".join(PAGES["README.md"].split())
    for ratios in zip(*(alone[cell] for cell in ("rnn", "gru", "lstm")), strict=True):
        assert "{}, {} and {}".format(*ratios) in readme


def test_the_ratios_of_todays_models_are_those_of_their_page() -> None:
    measured = json.loads((ROOT / "results" / "speed_heirs.json").read_text())["heirs"]
    ratios = sorted(row["to the fastest"] for row in measured)
    told = f"a layer of 64 units takes {ratios[0]:.2f} to {ratios[-1]:.2f} of the time"
    assert len(ratios) == 14 and told in PAGES["docs/speed.md"]


def shown(block: str) -> list[list[str]]:
    """Return the lines of a text as words, without blank ones."""
    return [line.split() for line in block.splitlines() if line.strip()]


@pytest.mark.slow
def test_the_chapter_goes_from_top_to_bottom(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command runs as it is printed, makes the pictures of the page, and prints the numbers on it."""
    said = ""
    for language, text in re.findall(r"```(bash|text)\n(.*?)```", PAGES[CHAPTER], re.DOTALL):
        if language == "text":  # the left of what the commands above it print
            printed = shown(said)
            for line in shown(text):
                assert any(its[: len(line)] == line for its in printed), (line, said)
            continue
        capsys.readouterr()
        for command in text.splitlines():
            monkeypatch.setattr(sys, "argv", shlex.split(command))
            with pytest.raises(SystemExit) as end:
                main()
            assert not end.value.code, command
        said = capsys.readouterr().out
    assert {path.name for path in Path("pictures").iterdir()} == {*pictures()}


def pictures() -> list[str]:
    return re.findall(r"\]\(pictures/([^)]+)\)", PAGES[CHAPTER])


def test_the_chapter_shows_every_picture_that_its_commands_make_and_no_other() -> None:
    made = re.findall(r"--out pictures/(\S+)", " ".join(commands(CHAPTER)))
    there = {path.name: path.stat().st_size for path in (ROOT / "docs" / "pictures").iterdir()}
    assert sorted(made) == sorted(pictures()) == sorted(there)
    assert sum(there.values()) < 1_500_000


def test_the_chapter_has_every_equation_and_figure() -> None:
    text = PAGES[CHAPTER]
    ranges = re.findall(r"\[(\d+)\](?:(?: to |, |–)\[(\d+)\])?", text)
    equations = {number for first, last in ranges for number in range(int(first), int(last or first) + 1)}
    assert equations >= {*range(1, 34)} - {24}  # the seed has no [24]
    assert all(f"Fig. 10.{figure}" in text for figure in (2, 3, 4, 5, 6, 11, 12, 13, 14, 16, 18))
