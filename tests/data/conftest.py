"""What the tests of data share: the hub is out of reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqbench.data import hub


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Put the hub out of reach, and its cache (returned) into the test's folder."""
    import datasets

    cache = tmp_path / "hub_cache"
    monkeypatch.setenv("HF_DATASETS_CACHE", str(cache))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "answers", lambda hub_id: False)
    return cache
