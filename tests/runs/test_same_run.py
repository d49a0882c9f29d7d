"""When data make another run: what the model reads counts, and not where it lies, nor which code reads it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import seqbench
from seqbench.runs.plan import plan
from seqbench.tasks import tabular
from seqbench.tasks.tabular import encoding
from seqbench.tasks.text import units

TINY = ["model=gru", "model.hidden_size=4", "batch_size=2", "trainer.max_steps=2", "trainer.eval_every=1"]
#: A task, and its file's name, contents, and a change of these.
KINDS: dict[str, tuple[list[str], str, str, tuple[str, str]]] = {
    "table": (
        ["task=table", "task.id=who", "task.inputs=[x]", "task.target=y"],
        "data.csv",
        "who,x,y\n" + "".join(f"n{i},{i + t},{'ab'[i % 2]}\n" for i in range(30) for t in (0, 1)),
        ("n7,7,", "n7,8,"),
    ),
    "text": (
        ["task=text", "task.length=5"],
        "book.txt",
        "The cat sat on the mat. The dog sat there too.\n" * 20,
        ("dog", "fox"),
    ),
}


def hash_of(kind: str, path: str, *more: str) -> str:
    overrides = [*KINDS[kind][0], f"task.path={path}", *TINY, "logger=none", *more]
    return plan(seqbench.compose(overrides)).hash


def edit(monkeypatch: pytest.MonkeyPatch, module: ModuleType, text: str) -> None:
    """Let the source of a module, or of a package with what it holds, be another."""
    source = Path(str(module.__file__))
    place = Path("edited", module.__name__)
    if source.name == "__init__.py":
        shutil.copytree(source.parent, place, dirs_exist_ok=True)
        place /= source.name
    else:
        place.parent.mkdir(exist_ok=True)
        shutil.copy(source, place)
    place.write_text(f"{place.read_text()}{text}")
    monkeypatch.setattr(module, "__file__", str(place.resolve()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_file_is_another_run_and_another_path_is_not(kind: str) -> None:
    _, name, contents, change = KINDS[kind]
    Path(name).write_text(contents)
    before = hash_of(kind, name)
    Path("deep").mkdir()
    shutil.copy(name, f"deep/other{Path(name).suffix}")
    assert hash_of(kind, f"deep/other{Path(name).suffix}") == before
    assert hash_of(kind, name, "data_dir=elsewhere") == before
    Path(name).write_text(contents.replace(*change))
    assert hash_of(kind, name) != before
    Path(name).write_text(contents)
    assert hash_of(kind, name) == before


def test_a_changed_builder_is_another_run_where_it_makes_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("data.csv").write_text(KINDS["table"][2])
    before = hash_of("table", "data.csv")
    with monkeypatch.context() as edited:
        edit(edited, tabular, "# The same.\n")
        assert hash_of("table", "data.csv") == before
    scaled: Callable[..., Any] = encoding.standardised
    with monkeypatch.context() as edited:
        edit(edited, tabular, "# One more.\n")
        edited.setattr(encoding, "standardised", lambda *given: scaled(*given) + 1)
        assert hash_of("table", "data.csv") != before
    assert hash_of("table", "data.csv") == before


def test_a_changed_tokeniser_is_another_run_where_it_makes_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("book.txt").write_text(KINDS["text"][2])
    before = hash_of("text", "book.txt")
    with monkeypatch.context() as edited:
        edit(edited, units, "# The same.\n")
        assert hash_of("text", "book.txt") == before
    decoded: Callable[..., Any] = units.decoded
    with monkeypatch.context() as edited:
        edit(edited, units, "# Small letters.\n")
        edited.setattr(units, "decoded", lambda text: (block.lower() for block in decoded(text)))
        assert hash_of("text", "book.txt") != before
    assert hash_of("text", "book.txt") == before
