"""Real data: where it is looked for, what is said when it is nowhere, and a cache that is never stale."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seqbench import data, mirror
from seqbench.errors import DataError

HUB_ID = "ylecun/mnist"
ARGS = ("mnist", HUB_ID, "test")


def fake_mirror(data_dir: Path, seed: int = 0, rows: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Mirror random images as MNIST and return those of the test split."""
    rng = np.random.default_rng(seed)
    for split in mirror.SPLITS:
        images = rng.integers(256, size=(rows, 28, 28), dtype=np.uint8)
        labels = rng.integers(10, size=rows, dtype=np.uint8)
        path = mirror.mirror_file("mnist", split, data_dir)
        path.parent.mkdir(parents=True, exist_ok=True)
        mirror.write_parquet(images, labels, mirror.SOURCES["mnist"].classes, path)
    return images, labels


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Put the hub out of reach, and its cache (returned) into the test's folder."""
    import datasets

    cache = tmp_path / "hub_cache"
    monkeypatch.setenv("HF_DATASETS_CACHE", str(cache))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(data, "_hub_answers", lambda hub_id: False)
    return cache


def test_mirror_is_loaded_in_the_columns_of_the_hub(tmp_path):
    images, labels = fake_mirror(tmp_path)
    dataset = data.load(*ARGS, tmp_path)
    assert dataset.features == mirror.features("0123456789")
    assert np.array_equal(np.stack([np.asarray(image) for image in dataset["image"]]), images)
    assert dataset["label"][:] == labels.tolist()


def test_missing_data_name_the_places_and_the_remedies(tmp_path):
    with pytest.raises(DataError) as caught:
        data.load(*ARGS, tmp_path)
    message = str(caught.value)
    for part in ("mnist", str(tmp_path / "mnist"), HUB_ID, "`scripts/mirror_data mnist", "network"):
        assert part in message
    assert caught.value.exit_code == 2 and "\n" not in message


def test_data_that_cannot_be_mirrored_have_no_such_remedy(tmp_path):
    with pytest.raises(DataError) as caught:
        data.load("letters", "someone/letters", "train", tmp_path)
    assert "mirror_data" not in str(caught.value)


def test_offline_mode_asks_no_hub(monkeypatch, tmp_path):
    import datasets

    def asked(hub_id: str) -> bool:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(data, "_hub_answers", asked)
    with pytest.raises(DataError):
        data.load(*ARGS, tmp_path)


def test_cache_of_the_hub_serves_without_a_network(no_hub, tmp_path):
    import datasets

    images, _ = fake_mirror(tmp_path / "elsewhere")
    files = {"test": str(mirror.mirror_file("mnist", "test", tmp_path / "elsewhere"))}
    datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "made"))
    (made,) = (tmp_path / "made" / "parquet").glob("*/*/*/")
    cached = no_hub / "ylecun___mnist" / "default" / "0.0.0" / made.name
    shutil.copytree(made, cached)
    (cached / "parquet-test.arrow").rename(cached / "mnist-test.arrow")
    assert data.place("mnist", tmp_path) == "hub cache"
    for _ in range(2):
        assert np.array_equal(data.load_images(*ARGS, tmp_path)[0], images)


def test_images_are_decoded_once(monkeypatch, tmp_path):
    images, labels = fake_mirror(tmp_path)
    for _ in range(2):
        found = data.load_images(*ARGS, tmp_path)
        assert np.array_equal(found[0], images) and np.array_equal(found[1], labels)
        assert found[0].dtype == found[1].dtype == np.uint8
        monkeypatch.delattr(data, "_decode", raising=False)  # the second time it is not needed


def test_images_are_never_stale(tmp_path):
    for seed in range(3):
        images, labels = fake_mirror(tmp_path, seed)
        found = data.load_images(*ARGS, tmp_path)
        assert np.array_equal(found[0], images) and np.array_equal(found[1], labels)
    assert len(list((tmp_path / ".cache").iterdir())) == 1


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half a file"])
def test_damaged_cache_is_made_again(tmp_path, damage):
    images, _ = fake_mirror(tmp_path)
    data.load_images(*ARGS, tmp_path)
    (tmp_path / ".cache" / "mnist-test.npz").write_bytes(damage)
    assert np.array_equal(data.load_images(*ARGS, tmp_path)[0], images)


def test_cache_that_cannot_be_written_only_costs_time(tmp_path):
    images, _ = fake_mirror(tmp_path)
    (tmp_path / ".cache").touch()
    assert np.array_equal(data.load_images(*ARGS, tmp_path)[0], images)


def test_damaged_mirror_is_an_error_with_a_remedy(tmp_path):
    fake_mirror(tmp_path)
    mirror.mirror_file("mnist", "test", tmp_path).write_bytes(b"half a file")
    with pytest.raises(DataError, match="scripts/mirror_data mnist"):
        data.load_images(*ARGS, tmp_path)


def test_other_columns_are_an_error(tmp_path):
    import pandas as pd

    fake_mirror(tmp_path)
    pd.DataFrame({"text": ["a"]}).to_parquet(mirror.mirror_file("mnist", "test", tmp_path))
    with pytest.raises(DataError, match="`image`"):
        data.load_images(*ARGS, tmp_path)


def test_listing_says_what_is_here_and_how_to_get_the_rest(tmp_path, capsys):
    fake_mirror(tmp_path)
    assert data.main(["--data-dir", str(tmp_path)]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    listed = {line.split()[0]: line for line in lines}
    assert list(listed) == list(data.KNOWN)
    assert listed["mnist"].split() == ["mnist", HUB_ID, "60000", "10000", "mirror"]
    fashion, cmudict, babi = (listed[name] for name in ("fashion_mnist", "cmudict", "babi"))
    assert "missing" in fashion and "scripts/mirror_data fashion_mnist, or a network" in fashion
    assert cmudict.split() == ["cmudict", "–", "121732", "13434", "missing", "scripts/mirror_data", "cmudict"]
    assert babi.split()[:5] == ["babi", "Muennighoff/babi", "18000", "20000", "missing"]
    assert babi.endswith(f"its text files in {tmp_path / 'babi'}, or a network")


def test_details_of_named_data(tmp_path, capsys):
    fake_mirror(tmp_path)
    assert data.main(["mnist", "fashion_mnist", "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert str(mirror.mirror_file("mnist", "train", tmp_path)) in shown
    assert "Ankle boot" in shown and "scripts/mirror_data fashion_mnist" in shown
    with pytest.raises(DataError, match="mnist"):
        data.main(["mnits"])


def test_text_files_are_found_and_asked_for(tmp_path, capsys):
    assert data.main(["babi", "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "18000 train, 2000 validation, 20000 test" in shown and "CC BY 3.0" in shown
    assert f"to get it  its text files in {tmp_path / 'babi'}, or a network" in shown
    (tmp_path / "babi").mkdir()
    (tmp_path / "babi" / "qa1_single-supporting-fact_train.txt").touch()
    assert data.main(["babi", "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert f"files      {tmp_path / 'babi'}" in shown and "to get it" not in shown
    assert data.place("babi", tmp_path) == "files"
    with pytest.raises(
        DataError, match=r"there are mnist, fashion_mnist, cmudict, babi.*\. Did you mean 'babi'"
    ):
        data.place("baby", tmp_path)


def test_a_treebank_comes_from_its_files_alone(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(data, "_hub_answers", lambda hub_id: pytest.fail("the hub was asked"))
    assert data.place("sst", tmp_path) == "missing"
    assert data.main(["sst", "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "8544 train, 1101 validation, 2210 test" in shown and "trainDevTestTrees_PTB.zip" in shown
    assert shown.rstrip().endswith(f"to get it  its text files in {tmp_path / 'sst'}")
    (tmp_path / "sst").mkdir()
    (tmp_path / "sst" / "train.txt").touch()
    assert data.place("sst", tmp_path) == "files"
    assert data.main(["--data-dir", str(tmp_path)]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("sst "))
    assert line.split() == ["sst", "–", "8544", "2210", "files"]


def test_missing_texts_name_their_remedies(tmp_path):
    with pytest.raises(DataError) as caught:
        data.load("babi", "Muennighoff/babi", "train", tmp_path)
    message = str(caught.value)
    assert message.endswith("put its own text files there, or try again with a network.")
    assert str(tmp_path / "babi") in message and "mirror_data" not in message


def test_a_dictionary_is_loaded_as_it_is_now(tmp_path):
    for entries in ([("a", "AH0"), ("a", "EY1")], [("an", "AE1 N")]):
        for split in mirror.SPLITS:
            path = mirror.mirror_file("cmudict", split, tmp_path)
            path.parent.mkdir(parents=True, exist_ok=True)
            mirror.write_entries(entries, path)
        dataset = data.load("cmudict", None, "train", tmp_path)
        assert list(zip(dataset["word"], dataset["phonemes"], strict=True)) == entries
    assert data.place("cmudict", tmp_path) == "mirror"


def test_data_that_the_hub_has_not_are_not_looked_for_there(monkeypatch, tmp_path, capsys):
    def asked(hub_id: str) -> bool:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(data, "_hub_answers", asked)
    with pytest.raises(DataError) as caught:
        data.load("cmudict", None, "train", tmp_path)
    wanted = f"{tmp_path / 'cmudict'}; run `scripts/mirror_data cmudict --data-dir {tmp_path}`."
    assert str(caught.value).endswith(wanted)
    with pytest.raises(DataError, match=r"put `train.parquet` and `test.parquet` there"):
        data.load("mine", None, "train", tmp_path)
    assert data.place("cmudict", tmp_path) == "missing"
    assert data.main(["cmudict", "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "121732 train, 13434 test" in shown and "columns    word, phonemes" in shown
    assert "hub        –" in shown and shown.rstrip().endswith("(the Python package cmudict 1.1.3)")


def test_import_is_light():
    heavy = "{'numpy', 'torch', 'datasets', 'pandas', 'pyarrow', 'huggingface_hub'}"
    code = f"import sys, seqbench.data; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
