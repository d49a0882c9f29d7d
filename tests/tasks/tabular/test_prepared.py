"""A table is read and encoded once for its content, its settings and the code; nothing stale is ever read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from seqbench.data import tables
from seqbench.data.tables.source import DataSetSource, FileSource, MirrorSource
from seqbench.errors import ConfigError, DataError
from seqbench.tasks import tabular
from seqbench.tasks.tabular.table import Table
from tests.tasks.batches import same

CACHE = Path("data/.cache")
#: 20 sequences of two steps: a number, a name, a word, a number to come, a label.
ROWS = [
    (f"s{i}", t, i + t / 2, "uv"[i % 2], "pqr"[(i + t) % 3], i * t, "ab"[i % 2])
    for i in range(20)
    for t in (0, 1)
]
FRAME = pd.DataFrame(ROWS, columns=["id", "t", "x", "c", "w", "n", "y"])
OF_ROWS: dict[str, Any] = {"id": "id", "time": "t"}
KINDS: dict[str, dict[str, Any]] = {
    "labels": {
        "inputs": ["x", "c"],
        "target": "y",
        "delta": True,
        "missing": "mask",
        "class_weights": "balanced",
    },
    "tokens": {"inputs": "w", "target": "w", "ahead": 1, "vocabulary": 2},
    "numbers": {"inputs": "w", "target": ["x", "n"], "each": "step", "classes": False, "window": 1},
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the places whose rows were read, to which each reading adds its own."""
    read: list[str] = []
    for kind in (FileSource, DataSetSource, MirrorSource):

        def rows(self: Any, before: Callable[[Any], Any] = kind.rows) -> Any:
            read.append(self.place)
            return before(self)

        monkeypatch.setattr(kind, "rows", rows)
    return read


def of_file(path: str = "data.csv", **settings: Any) -> Table:
    return Table(path, **OF_ROWS | {"target": "y"} | settings)


def entries() -> set[str]:
    return {path.name for path in CACHE.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_again_is_equal_bit_for_bit_and_reads_no_row(kind: str, read: list[str]) -> None:
    FRAME.to_csv("data.csv", index=False)
    first, second = of_file(**KINDS[kind]), of_file(**KINDS[kind])
    first.prepare(1)
    assert len(read) == 1
    for split in ("train", "validation", "test"):
        assert same(first.read_split(split), second.read_split(split))
    assert second.targets == first.targets and second.inputs == first.inputs
    assert second.token_names() == first.token_names() and second.about() == first.about()
    assert second.fingerprint() == first.fingerprint() and len(read) == 1
    shutil.rmtree(CACHE)
    assert of_file(**KINDS[kind]).fingerprint() == first.fingerprint() and len(read) == 2


def test_the_same_content_elsewhere_is_the_same_entry(read: list[str]) -> None:
    FRAME.to_csv("data.csv", index=False)
    before = of_file().fingerprint()
    Path("deep/er").mkdir(parents=True)
    Path("data.csv").rename("deep/er/other.csv")
    assert of_file("deep/er/other.csv").fingerprint() == before and len(read) == len(entries()) == 1


def test_a_changed_file_is_read_anew_whatever_its_size_and_time(read: list[str]) -> None:
    FRAME.to_csv("data.csv", index=False)
    before, stamp = of_file().fingerprint(), Path("data.csv").stat()
    text = Path("data.csv").read_text()
    Path("data.csv").write_text(text.replace("s3,1,3.5", "s3,1,3.6"))
    os.utime("data.csv", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert Path("data.csv").stat().st_size == stamp.st_size
    assert of_file().fingerprint() != before and len(read) == 2
    assert len(entries()) == 1, "what the file held before is removed"


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": ["x"]},
        {"time": None},
        {"target": "w"},
        {"shares": [0.2, 0.2]},
        {"each": "step"},
        {"class_weights": "balanced"},
        {"missing": "mask"},
        {"delta": True},
        {"group": "c", "shares": [0.3, 0.3]},
    ],
)
def test_another_setting_is_another_entry(change: dict[str, Any], read: list[str]) -> None:
    FRAME.assign(c=[f"g{i // 4}" for i in range(40)]).to_csv("data.csv", index=False)
    settings = {"inputs": ["x", "n"]}
    of_file(**settings).prepare(1)
    of_file(**settings | change).prepare(1)
    assert len(read) == len(entries()) == 2


@pytest.mark.parametrize("package", [tables, tabular])
def test_an_edited_builder_reads_anew(package: Any, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """That what it makes is the same makes it the same run."""
    FRAME.to_csv("data.csv", index=False)
    before = of_file().fingerprint()
    shutil.copytree(Path(package.__file__).parent, "edited")
    monkeypatch.setattr(package, "__file__", str(Path("edited/__init__.py").resolve()))
    assert of_file().fingerprint() == before and len(read) == 1
    module = max(Path("edited").glob("*.py"))
    module.write_text(f"{module.read_text()}# edited\n")
    assert of_file().fingerprint() == before and len(read) == 2


def test_another_separator_or_header_is_another_entry(read: list[str]) -> None:
    Path("data.txt").write_text("a;b\tc\n" + "1;2\t3\n4;5\t6\n" * 20)
    kinds = [{"separator": ";"}, {"separator": "\t"}, {"separator": "\t", "header": ["u", "v"]}]
    for settings in kinds:
        source = Table("data.txt", target="c", **settings).source
        assert isinstance(source, FileSource)
        read.append(source.digest())
    assert len({*read}) == 3


def test_a_damaged_entry_is_made_anew(read: list[str]) -> None:
    FRAME.to_csv("data.csv", index=False)
    before = of_file().fingerprint()
    (folder,) = CACHE.iterdir()
    whole = (folder / "wanted.npy").read_bytes()
    (folder / "wanted.npy").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert of_file().fingerprint() == before and len(read) == 2
    assert (folder / "wanted.npy").read_bytes() == whole


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Table]:
    """Return a function that writes a folder in the hub's layout and makes its task, without a network."""
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))

    def make(name: str, rows: int = 30, **settings: Any) -> Table:
        Path(name).mkdir(parents=True, exist_ok=True)
        for split, part in (("train", FRAME[:rows]), ("test", FRAME[30:])):
            part.to_csv(Path(name, f"{split}.csv"), index=False)
        return Table(name, **{"inputs": ["x", "n"], "target": "y"} | settings)

    return make


def test_a_folder_of_the_hub_is_read_once(read: list[str], folder: Callable[..., Table]) -> None:
    before = folder("one").fingerprint()
    assert folder("elsewhere/two").fingerprint() == before and len(read) == 1
    assert folder("three", 28).fingerprint() != before and len(read) == 2


def test_a_folder_of_the_hub_is_read_as_it_is_now(
    folder: Callable[..., Table], capsys: pytest.CaptureFixture[str]
) -> None:
    """The hub's client takes a file of the same time for unchanged, and a folder that is gone for its own."""
    task = folder("films")
    before, file = task.fingerprint(), Path("films/train.csv")
    stamp = file.stat()
    file.write_text(file.read_text().replace("s3,1,3.5", "s3,1,3.6"))
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    again = Table("films", inputs=["x", "n"], target="y")
    assert again.fingerprint() != before and capsys.readouterr().err == ""
    shutil.rmtree("films")
    with pytest.raises(
        DataError, match=r"films is not cached, and HF_HUB_OFFLINE is set\. There is no file or folder films"
    ):
        Table("films", inputs=["x", "n"], target="y").prepare(1)


def test_faults_of_a_folder_of_the_hub_are_named_with_their_place(folder: Callable[..., Table]) -> None:
    with pytest.raises(
        DataError, match=r"films, test row 0: the group 'v' has .*=test, and train in films, train"
    ):
        folder("films", group="c").prepare(1)
    Path("films/test.csv").write_bytes(Path("films/test.csv").read_bytes().replace(b"s15", b"s\xff5"))
    with pytest.raises(
        DataError, match=r"^films/test\.csv line 2 is not UTF-8: it has the byte 0xff; save it"
    ):
        Table("films", inputs="x", target="y").prepare(1)


def test_what_is_refused_leaves_nothing_and_is_refused_again(read: list[str]) -> None:
    FRAME.assign(x=[None, *FRAME.x[1:]]).to_csv("data.csv", index=False)
    for _ in range(2):
        with pytest.raises(DataError, match=r"data\.csv line 2: x is missing"):
            of_file().prepare(1)
    assert len(read) == 2 and not Path("data").exists()
    with pytest.raises(DataError, match="There is no file elsewhere"):
        of_file("elsewhere.csv").prepare(1)
    FRAME.to_csv("data.csv", index=False)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"task\.solved_at=3 must be at most 1: y is a label"):
            of_file(solved_at=3).prepare(1)


def test_arrays_are_mapped_and_a_change_of_a_batch_stays_there() -> None:
    FRAME.to_csv("data.csv", index=False)
    task = of_file(inputs=["x", "n"])
    whole = task.read_split("train").inputs.clone()
    task.read_split("train").inputs.zero_()
    assert torch.equal(task.read_split("train").inputs, whole)
    assert torch.equal(of_file(inputs=["x", "n"]).read_split("train").inputs, whole)
