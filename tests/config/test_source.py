"""The hash of another package's source: what changes what a class does changes it, and nothing else does."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from seqbench.config import source
from seqbench.config.source import source_hash
from seqbench.models.cells.gru import GRU

CELLS = '''"""Cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from ownlab.parts import LEAK, gate as opened, other
from . import maths
from .table import *

if TYPE_CHECKING:
    from collections.abc import Sequence

SCALE = 2.0
UNUSED = 3.0


class Base:
    """A base."""

    def gain(self):
        return SCALE * LEAK


class Cell(Base):
    def step(self, x):  # a comment
        from ownlab.late import limit

        return limit(opened(x) * self.gain() + maths.half(x) + EVERY + helper.ONE + np.pi)


class Unrelated:
    pass


import helper
'''
FILES = {
    "ownlab/__init__.py": "",
    "ownlab/cells.py": CELLS,
    "ownlab/parts.py": "LEAK = 0.5\n\n\ndef gate(x):\n    return x * rate()\n\n\n"
    "def rate():\n    return 1.0\n\n\ndef other():\n    return 2.0\n",
    "ownlab/maths.py": "def half(x):\n    return x / 2\n",
    "ownlab/table.py": "EVERY = 1\n",
    "ownlab/late.py": "def limit(x):\n    return x\n",
    "ownlab/apart.py": "FAR = 1\n",
    "helper.py": "ONE = 1\n",
}
Hash = Callable[..., str | None]


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("ownlab", "helper")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    source._found.clear()


@pytest.fixture
def hash_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hash]:
    """Return a function that writes the package, one file of it changed, and hashes a class of it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def of(file: str = "", old: str = "", new: str = "", name: str = "Cell") -> str | None:
        for path, text in FILES.items():
            assert path != file or old in text
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text(text.replace(old, new) if path == file else text)
        forget()
        return source_hash(f"ownlab.cells.{name}", getattr(importlib.import_module("ownlab.cells"), name))

    yield of
    forget()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("ownlab/cells.py", "* self.gain()", "+ self.gain()"),
        ("ownlab/cells.py", "SCALE = 2.0", "SCALE = 2.5"),
        ("ownlab/cells.py", "return SCALE * LEAK", "return SCALE"),
        ("ownlab/parts.py", "LEAK = 0.5", "LEAK = 0.6"),
        ("ownlab/parts.py", "return 1.0", "return 1.5"),
        ("ownlab/maths.py", "x / 2", "x / 3"),
        ("ownlab/table.py", "EVERY = 1", "EVERY = 2"),
        ("ownlab/late.py", "return x", "return 2 * x"),
        ("helper.py", "ONE = 1", "ONE = 2"),
        ("ownlab/cells.py", "UNUSED = 3.0", "UNUSED = 4.0"),  # which anything may look up
        ("ownlab/cells.py", "gate as opened, other", "other as opened, gate"),
        ("ownlab/cells.py", "import math\n", "from math import sin as opened\n"),
        ("ownlab/cells.py", "SCALE = 2.0\n", "SCALE = 2.0\nSCALE += 1\nSCALE *= 3\n"),
        ("ownlab/parts.py", "def gate", "@staticmethod\ndef gate"),
        ("ownlab/cells.py", "import helper\n", "import helper\n\nBase.gain = lambda self: 0\n"),
        ("ownlab/__init__.py", "", "import ownlab.parts\n\nownlab.parts.LEAK = 0.9\n"),
    ],
)
def test_what_a_class_does_is_in_its_hash(hash_with: Hash, file: str, old: str, new: str) -> None:
    assert hash_with() != hash_with(file, old, new)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("ownlab/cells.py", "  # a comment", ""),
        ("ownlab/cells.py", '    """A base."""\n', '    """Another text."""\n'),
        ("ownlab/cells.py", "\n\n\nclass Cell", "\nclass Cell"),
        ("ownlab/apart.py", "FAR = 1", "FAR = 2"),
        ("ownlab/parts.py", "LEAK = 0.5", "LEAK = 0.50"),
    ],
)
def test_what_no_module_of_its_own_needs_is_not(hash_with: Hash, file: str, old: str, new: str) -> None:
    assert hash_with() == hash_with(file, old, new)


def test_built_in_classes_have_none() -> None:
    assert source_hash("seqbench.models.cells.gru.GRU", GRU) is None
    assert source_hash("torch.nn.Linear", nn.Linear) is None


@pytest.mark.parametrize("init", [True, False])
@pytest.mark.parametrize(
    ("cells", "parts", "changed"),
    [
        ("from . import parts\nK = parts.LEAK", "LEAK = 1", "LEAK = 2"),
        ("import ownlab.parts as p\nK = p.LEAK", "LEAK = 1", "LEAK = 2"),
        ("from ownlab.parts import *", "__all__ = ['A']\nA = B = 1", "__all__ = ['B']\nA = B = 1"),
        ("from . import parts", "ACTS = {}\nACTS['k'] = 1", "ACTS = {}\nACTS['k'] = 2"),
        ("try:\n    from .parts import K\nexcept ImportError:\n    K = 0", "K = 1", "K = 2"),
        ("K = 0" + " + 1" * 600 + "\nfrom .parts import L", "L = 1", "L = 2"),
        ("from .parts import K", "K = 1", "K = 1  # the same"),
    ],
)
def test_modules_are_found_however_they_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, init: bool, cells: str, parts: str, changed: str
) -> None:
    """With an `__init__` that imports the part too, and in a folder that is a package without one."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "ownlab").mkdir()
    if init:
        (tmp_path / "ownlab" / "__init__.py").write_text("from . import parts\n")
    (tmp_path / "ownlab" / "cells.py").write_text(f"{cells}\n\n\nclass Made:\n    pass\n\n\nCell = Made\n")
    found = []
    for text in (parts, changed):
        (tmp_path / "ownlab" / "parts.py").write_text(text)
        forget()
        cell = importlib.import_module("ownlab.cells").Cell
        found.append(source_hash("ownlab.cells.Cell", cell))
    forget()
    assert None not in found and (found[0] == found[1]) == ("the same" in changed)


def test_a_class_that_is_made_elsewhere_counts_by_both_modules(hash_with: Hash) -> None:
    hash_with()
    cell = sys.modules["ownlab.cells"].Cell
    here = source_hash("ownlab.cells.Cell", cell)
    assert source_hash("ownlab.apart.Cell", cell) not in (None, here)


def test_an_edit_counts_for_the_process_that_imports_it(hash_with: Hash, tmp_path: Path) -> None:
    """What runs in this process is what was imported, whatever the file holds by now."""
    before = hash_with()
    cells = sys.modules["ownlab.cells"]
    (tmp_path / "ownlab/cells.py").write_text(CELLS.replace("SCALE = 2.0", "SCALE = 2.5"))
    assert source_hash("ownlab.cells.Cell", cells.Cell) == before
    importlib.reload(cells)
    assert source_hash("ownlab.cells.Cell", cells.Cell) != before


def test_code_that_cannot_be_read_has_none() -> None:
    assert source_hash("nowhere.Cell", type("Cell", (), {"__module__": "nowhere"})) is None


def test_a_base_class_of_another_folder_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for value in (1, 2, 1):
        for place, text in (
            ("apart/helper.py", f"class Base:\n    VALUE = {value}\n"),
            ("here/ownlab.py", "from helper import Base\n\n\nclass Cell(Base):\n    pass\n"),
        ):
            (tmp_path / place).parent.mkdir(exist_ok=True)
            (tmp_path / place).write_text(text)
            monkeypatch.syspath_prepend(str((tmp_path / place).parent))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        forget()
        found.append(source_hash("ownlab.Cell", importlib.import_module("ownlab").Cell))
    forget()
    assert found[0] == found[2] != found[1] is not None


def test_modules_are_found_as_python_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a finder of its own knows them, as those of editable installations do."""

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> Any:
            place = tmp_path / f"{name}.py"
            return spec_from_file_location(name, place) if name in ("ownlab", "helper") else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    late = "class Cell:\n    def step(self):\n        import helper\n        return helper.VALUE\n"
    (tmp_path / "ownlab.py").write_text(late)
    found = []
    for value in (1, 2):
        (tmp_path / "helper.py").write_text(f"VALUE = {value}\n")
        forget()
        cell = importlib.import_module("ownlab").Cell
        found.append(source_hash("ownlab.Cell", cell))
        assert cell().step() == value and source_hash("ownlab.Cell", cell) == found[-1]
    forget()
    assert found[0] != found[1]


def test_what_is_imported_late_of_a_folder_without_init_is_found_and_a_file_that_is_gone_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "helper" / "deep").mkdir(parents=True)
    (tmp_path / "ownlab.py").write_text(
        "def cell():\n    from helper.deep.parts import VALUE\n    import google.api.none\n    return VALUE"
    )
    found = []
    for value in (1, 2):
        (tmp_path / "helper" / "deep" / "parts.py").write_text(f"VALUE = {value}\n")
        forget()
        cell = importlib.import_module("ownlab").cell
        found.append(source_hash("ownlab.cell", cell))
    assert None not in found and found[0] != found[1]
    forget()
    cell = importlib.import_module("ownlab").cell
    (tmp_path / "ownlab.py").unlink()
    assert source_hash("ownlab.cell", cell) not in found
    forget()
