"""`seqbench data --check`: what is sound, and each fault that a folder of data can have."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seqbench.cli.data import main
from seqbench.data.catalogue import CATALOGUE
from seqbench.data.checksums import SUMS, keep_checksums
from seqbench.data.source import mirror_file
from seqbench.data.table_packages import write_table
from seqbench.errors import ConfigError, DataError

SPLITS = ("train", "validation", "test")


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hub_cache"))


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with vader_movies, as it was mirrored; three rows are pinned for each split."""
    source: Any = replace(CATALOGUE["vader_movies"], rows=dict.fromkeys(SPLITS, 3))
    monkeypatch.setitem(CATALOGUE, "vader_movies", source)
    for split in SPLITS:
        path = mirror_file("vader_movies", split, tmp_path / "data")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table({"text": [split, "a", "b"], "label": ["pos", "neg", "pos"]}, path)
    keep_checksums(path.parent)
    return tmp_path / "data"


def checked(capsys: pytest.CaptureFixture[str], data_dir: Path, *names: str) -> tuple[int, str]:
    code = main(["--check", *names, "--data-dir", str(data_dir)])
    return code, capsys.readouterr().out


def test_a_sound_mirror_is_a_line(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = checked(capsys, data_dir)
    assert code == 0 and said.count("\n") == 1
    assert said.startswith(
        "vader_movies: rows as pinned (3 train, 3 validation, 3 test), checksums as kept, fingerprint "
    )
    main(["vader_movies", "--data-dir", str(data_dir)])
    shown = capsys.readouterr().out
    assert f"fingerprint {said.split()[-1]}" in shown and "size        0.0 MB" in shown


def test_a_mirror_without_checksums_is_read_whole_and_it_is_said(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / "vader_movies" / SUMS).unlink()
    code, said = checked(capsys, data_dir, "vader_movies")
    assert code == 0 and f"no {SUMS} is kept" in said
    path = mirror_file("vader_movies", "test", data_dir)
    content = bytearray(path.read_bytes())
    content[4:40] = bytes(36)  # the rows, and not the table of contents
    path.write_bytes(content)
    code, said = checked(capsys, data_dir, "vader_movies")
    assert code == 1 and "vader_movies/test.parquet cannot be read: " in said


def test_each_fault_is_a_sentence(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = data_dir / "vader_movies"
    before = checked(capsys, data_dir)[1]
    write_table({"text": ["another"] * 3, "label": ["pos"] * 3}, folder / "train.parquet")
    code, said = checked(capsys, data_dir)
    assert (code, said) == (
        1,
        f"vader_movies: {folder}/train.parquet is not the file that {SUMS} tells of.\n",
    )
    keep_checksums(folder)
    after = checked(capsys, data_dir)[1]
    assert after.startswith("vader_movies: rows as pinned") and after != before  # another fingerprint
    write_table({"text": ["one"], "label": ["pos"]}, folder / "test.parquet")
    keep_checksums(folder)
    code, said = checked(capsys, data_dir)
    assert (code, said) == (1, f"vader_movies: {folder} has 1 rows for test, and not 3.\n")
    (folder / SUMS).write_text("nonsense\n")
    code, said = checked(capsys, data_dir)
    assert code == 1 and f"{SUMS} cannot be read" in said
    (folder / "test.parquet").unlink()
    code, said = checked(capsys, data_dir)
    assert code == 1 and "is there and is not whole; move it away" in said


def test_what_is_named_must_be_there(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = checked(capsys, data_dir, "vader_movies", "babi")
    assert code == 1 and said.splitlines()[1].startswith(f"babi: {data_dir / 'babi'} is not there; get")
    with pytest.raises(DataError, match="Did you mean 'babi'"):
        main(["--check", "baby", "--data-dir", str(data_dir)])
    with pytest.raises(ConfigError, match="--get and --check are two commands"):
        main(["--check", "--get", "babi", "--data-dir", str(data_dir)])
    assert checked(capsys, data_dir / "none") == (0, f"There is no data set in {data_dir / 'none'}.\n")


def test_files_of_text_must_hold_something(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = data_dir / "babi"
    folder.mkdir()
    for split in ("train", "test"):
        (folder / f"qa1_{split}.txt").write_text("1 Mary is here.\n")
    code, said = checked(capsys, data_dir, "babi")
    assert code == 0 and said.startswith("babi: 2 files of text, ")
    (folder / "qa1_test.txt").write_text("")
    assert checked(capsys, data_dir, "babi") == (1, f"babi: {folder}/qa1_test.txt is empty.\n")


def test_files_of_text_must_have_the_rows_that_are_known(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There are copies of the treebank whose training file holds the validation sentences too."""
    folder = data_dir / "sst"
    folder.mkdir()
    for name, count in (("train", 8544), ("dev", 1101), ("test", 2210)):
        (folder / f"{name}.txt").write_text("(2 a)\n" * count)
    code, said = checked(capsys, data_dir, "sst")
    rows = "8,544 train, 1,101 validation, 2,210 test"
    assert code == 0 and said.startswith(f"sst: rows as pinned ({rows}), 3 files of text, fingerprint ")
    (folder / "test.txt").write_text("(2 a)\n" * 2209 + "(2 b)")  # without the last line's end
    assert checked(capsys, data_dir, "sst")[0] == 0
    (folder / "train.txt").write_text("(2 a)\n" * 9645)
    fault = f"sst: {folder} has 9,645 rows for train, and not 8,544.\n"
    assert checked(capsys, data_dir, "sst") == (1, fault)
    (folder / "dev.txt").write_text("")
    assert checked(capsys, data_dir, "sst") == (1, f"sst: {folder}/dev.txt is empty.\n")
    (folder / "dev.txt").unlink()
    code, said = checked(capsys, data_dir, "sst")
    assert code == 1 and said.startswith(f"sst: {folder} has not all of train.txt, dev.txt, test.txt: ")


def test_a_file_of_music_must_have_the_pieces_that_are_known(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = data_dir / "jsb_chorales" / "jsb-chorales-quarter.json"
    path.parent.mkdir()
    piece = [[60], [62]]
    path.write_text(json.dumps({"train": [piece] * 229, "valid": [piece] * 76, "test": [piece] * 77}))
    code, said = checked(capsys, data_dir, "jsb_chorales")
    assert code == 0 and "rows as pinned (229 train, 76 validation, 77 test), 1 file of text" in said
    path.write_text(json.dumps({"train": [piece] * 229, "valid": [piece] * 77, "test": [piece] * 77}))
    fault = f"jsb_chorales: {path.parent} has 77 rows for validation, and not 76.\n"
    assert checked(capsys, data_dir, "jsb_chorales") == (1, fault)
    path.write_text("[")
    code, said = checked(capsys, data_dir, "jsb_chorales")
    assert code == 1 and said.startswith(f"jsb_chorales: {path} cannot be read as JSON: ")
