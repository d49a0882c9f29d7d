"""Loading: where data are looked for, and what is said when they are nowhere."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest

from seqbench.data import hub, load, load_images
from seqbench.data.cmudict import columns
from seqbench.data.images import features
from seqbench.data.loading import place
from seqbench.data.source import SPLITS, mirror_file
from seqbench.data.table_packages import write_table
from seqbench.errors import DataError
from tests.data.fakes import fake_mirror

HUB_ID = "ylecun/mnist"
ARGS = ("mnist", HUB_ID, "test")


def test_mirror_is_loaded_in_the_columns_of_the_hub(tmp_path):
    images, labels = fake_mirror(tmp_path)
    dataset = load(*ARGS, tmp_path)
    assert dataset.features == features("0123456789")
    assert np.array_equal(np.stack([np.asarray(image) for image in dataset["image"]]), images)
    assert dataset["label"][:] == labels.tolist()


def test_missing_data_name_the_places_and_the_remedies(tmp_path):
    with pytest.raises(DataError) as caught:
        load(*ARGS, tmp_path)
    message = str(caught.value)
    for part in ("mnist", str(tmp_path / "mnist"), HUB_ID, "`seqbench data --get mnist", "network"):
        assert part in message
    assert caught.value.exit_code == 2 and "\n" not in message


def test_data_that_cannot_be_mirrored_have_no_such_remedy(tmp_path):
    with pytest.raises(DataError) as caught:
        load("letters", "someone/letters", "train", tmp_path)
    assert "--get" not in str(caught.value)


def test_offline_mode_asks_no_hub(monkeypatch, tmp_path):
    import datasets

    def asked(hub_id: str) -> bool:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "answers", asked)
    with pytest.raises(DataError):
        load(*ARGS, tmp_path)


def test_cache_of_the_hub_serves_without_a_network(no_hub, tmp_path):
    import datasets

    images, _ = fake_mirror(tmp_path / "elsewhere")
    files = {"test": str(mirror_file("mnist", "test", tmp_path / "elsewhere"))}
    datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "made"))
    (made,) = (tmp_path / "made" / "parquet").glob("*/*/*/")
    cached = no_hub / "ylecun___mnist" / "default" / "0.0.0" / made.name
    shutil.copytree(made, cached)
    (cached / "parquet-test.arrow").rename(cached / "mnist-test.arrow")
    assert place("mnist", tmp_path) == "hub cache"
    for _ in range(2):
        assert np.array_equal(load_images(*ARGS, tmp_path)[0], images)


def test_missing_texts_name_their_remedies(tmp_path):
    with pytest.raises(DataError) as caught:
        load("babi", "Muennighoff/babi", "train", tmp_path)
    message = str(caught.value)
    assert message.endswith("put its own text files there, or try again with a network.")
    assert str(tmp_path / "babi") in message and "--get" not in message


def test_a_dictionary_is_loaded_as_it_is_now(tmp_path):
    for entries in ([("a", "AH0"), ("a", "EY1")], [("an", "AE1 N")]):
        for split in SPLITS:
            path = mirror_file("cmudict", split, tmp_path)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_table(columns(entries), path)
        dataset = load("cmudict", None, "train", tmp_path)
        assert list(zip(dataset["word"], dataset["phonemes"], strict=True)) == entries
    assert place("cmudict", tmp_path) == "mirror"


def test_data_that_the_hub_has_not_are_not_looked_for_there(monkeypatch, tmp_path):
    def asked(hub_id: str) -> bool:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(hub, "answers", asked)
    with pytest.raises(DataError) as caught:
        load("cmudict", None, "train", tmp_path)
    wanted = f"{tmp_path / 'cmudict'}; run `seqbench data --get cmudict --data-dir {tmp_path}`."
    assert str(caught.value).endswith(wanted)
    with pytest.raises(DataError, match=r"put `train.parquet` and `test.parquet` there"):
        load("mine", None, "train", tmp_path)
    assert place("cmudict", tmp_path) == "missing"


def test_import_is_light():
    heavy = "{'numpy', 'torch', 'datasets', 'pandas', 'pyarrow', 'huggingface_hub'}"
    code = f"import sys, seqbench.data; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x"])
def test_a_data_set_lies_in_its_folder(tmp_path, name):
    sentence = rf"^dataset={name} leads out of {tmp_path}; it must be the name of a folder in there.$"
    for read in (load, load_images):
        with pytest.raises(DataError, match=sentence):
            read(name, HUB_ID, "test", tmp_path)
