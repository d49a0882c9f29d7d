"""Images as arrays: decoded once, and never stale."""

from __future__ import annotations

import numpy as np
import pytest

from seqbench.data import image_cache, load_images
from seqbench.data.source import mirror_file
from seqbench.errors import DataError
from tests.data.fakes import fake_mirror

HUB_ID = "ylecun/mnist"
ARGS = ("mnist", HUB_ID, "test")


def test_images_are_decoded_once(monkeypatch, tmp_path):
    images, labels = fake_mirror(tmp_path)
    for _ in range(2):
        found = load_images(*ARGS, tmp_path)
        assert np.array_equal(found[0], images) and np.array_equal(found[1], labels)
        assert found[0].dtype == found[1].dtype == np.uint8
        monkeypatch.delattr(image_cache, "_decode", raising=False)  # the second time it is not needed


def test_images_are_never_stale(tmp_path):
    for seed in range(3):
        images, labels = fake_mirror(tmp_path, seed)
        found = load_images(*ARGS, tmp_path)
        assert np.array_equal(found[0], images) and np.array_equal(found[1], labels)
    assert len(list((tmp_path / ".cache").iterdir())) == 1


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half a file"])
def test_damaged_cache_is_made_again(tmp_path, damage):
    images, _ = fake_mirror(tmp_path)
    load_images(*ARGS, tmp_path)
    (tmp_path / ".cache" / "mnist-test.npz").write_bytes(damage)
    assert np.array_equal(load_images(*ARGS, tmp_path)[0], images)


def test_cache_that_cannot_be_written_only_costs_time(tmp_path):
    images, _ = fake_mirror(tmp_path)
    (tmp_path / ".cache").touch()
    assert np.array_equal(load_images(*ARGS, tmp_path)[0], images)


def test_damaged_mirror_is_an_error_with_a_remedy(tmp_path):
    fake_mirror(tmp_path)
    mirror_file("mnist", "test", tmp_path).write_bytes(b"half a file")
    with pytest.raises(DataError, match="seqbench data --get mnist"):
        load_images(*ARGS, tmp_path)


def test_other_columns_are_an_error(tmp_path):
    import pandas as pd

    fake_mirror(tmp_path)
    pd.DataFrame({"text": ["a"]}).to_parquet(mirror_file("mnist", "test", tmp_path))
    with pytest.raises(DataError, match="`image`"):
        load_images(*ARGS, tmp_path)
