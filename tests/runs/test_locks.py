"""The lock of a run's folder."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from seqbench.runs.locks import lock


def test_a_lock_is_never_held_twice(tmp_path: Path) -> None:
    """Many threads take and give the lock of one folder; each removes its file while it holds it."""
    folder = tmp_path / "adding" / "lstm-12345678" / "seed-0"
    inside, most = [], 0

    def take(_: int) -> None:
        nonlocal most
        for _ in range(15):
            with ExitStack() as locks:
                if lock(folder, locks):
                    inside.append(1)
                    most = max(most, len(inside))
                    time.sleep(0.001)
                    inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, range(8)))
    assert most == 1 and list(tmp_path.iterdir()) == []
