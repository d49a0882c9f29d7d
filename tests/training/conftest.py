"""Tests that train check no shapes: the checks take most of the time, and other tests make them."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _unchecked(unchecked: None) -> None:
    pass
