"""Files: whole or not at all, and checked when they are read."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from seqbench.errors import StoreError
from seqbench.runs.files import (
    DamagedFileError,
    checksum,
    load_sealed,
    read_checked,
    save_sealed,
    set_aside,
    tidy,
    write_atomically,
)

STATE = {"weights": torch.arange(6.0).view(2, 3), "step": 7, "rows": [{"loss": 0.5}], "mode": (True, "loop")}


def test_a_sealed_state_is_read_back(tmp_path: Path) -> None:
    save_sealed(STATE, tmp_path / "last.pt")
    found = load_sealed(tmp_path / "last.pt")
    assert torch.equal(found.pop("weights"), STATE["weights"])
    assert found == {"step": 7, "rows": [{"loss": 0.5}], "mode": (True, "loop")}
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_every_flipped_bit_and_every_cut_is_found(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_sealed(STATE, path)
    content, rng = path.read_bytes(), random.Random(0)
    for _ in range(300):
        place, bit = rng.randrange(len(content)), rng.randrange(8)
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :])
        with pytest.raises(DamagedFileError, match=r"last.pt is damaged"):
            load_sealed(path)
    for size in (0, 1, 64, 65, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(DamagedFileError, match=r"last.pt is damaged"):
            load_sealed(path)


def test_what_is_sealed_and_no_state_is_found(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(checksum(b"no state").encode() + b"\nno state")
    with pytest.raises(DamagedFileError, match=r"torch cannot read it"):
        load_sealed(path)


def test_a_file_with_another_checksum_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    write_atomically(path, "lr: 0.1\n")
    assert read_checked(path, checksum("lr: 0.1\n")) == b"lr: 0.1\n"
    path.write_text("lr: 0.2\n")
    with pytest.raises(DamagedFileError, match=r"config.yaml is damaged"):
        read_checked(path, checksum("lr: 0.1\n"))
    with pytest.raises(FileNotFoundError):
        read_checked(tmp_path / "none", "")


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*there"):
        write_atomically(tmp_path / "there", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    for name in (".result.json.123.part", "checkpoints/.last.pt.9.part", "result.json", "mine.part"):
        (tmp_path / name).touch()
    tidy(tmp_path, ["config.yaml"])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["checkpoints", "mine.part", "result.json"]


def test_places_where_nothing_can_be_written_are_found_before_training(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").mkdir()
    with pytest.raises(StoreError, match=r"metrics.csv is a folder, and a file is to be written there"):
        tidy(tmp_path, ["config.yaml", "metrics.csv"])
    (tmp_path / "checkpoints").touch()
    with pytest.raises(StoreError, match=r"checkpoints is a file, and a folder is to be there"):
        tidy(tmp_path, ["checkpoints/best.pt"])


def test_what_is_set_aside_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    for text in ("first", "second"):
        path.write_text(text)
        set_aside(path)
    path.mkdir()
    assert set_aside(path).is_dir() and not path.exists()
    assert [(tmp_path / f"unusable-{n}-result.json").read_text() for n in (1, 2)] == ["first", "second"]
