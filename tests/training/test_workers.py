"""Workers: threads that compute what the caller would."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time

import pytest
import torch

from seqbench.training.workers import Workers, workers_for


def test_each_worker_has_its_number_of_threads() -> None:
    """Torch's number of threads is that of the thread which sets it."""
    together = threading.Barrier(2, timeout=60)

    def threads(_: int) -> tuple[int, str]:
        together.wait()
        return torch.get_num_threads(), threading.current_thread().name

    torch.set_num_threads(2)
    try:
        with Workers(2, threads=1) as pool:
            found = pool.map(threads, range(2))
    finally:
        torch.set_num_threads(1)
    assert [count for count, _ in found] == [1, 1] and len({name for _, name in found}) == 2


def test_one_worker_is_the_caller() -> None:
    with Workers(1) as pool:
        assert pool.map(lambda _: threading.current_thread(), range(3)) == [threading.current_thread()] * 3


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_the_callers_modes_of_autograd_hold(mode: type) -> None:
    weight = torch.ones(2, requires_grad=True)

    def modes(_: int) -> tuple[bool, bool]:
        product = weight * 2
        return product.requires_grad, product.is_inference()

    with mode(), Workers(2) as pool:
        assert pool.map(modes, range(4)) == [modes(0)] * 4


def test_values_come_in_order_and_an_error_as_itself() -> None:
    done = []

    def late(i: int) -> int:
        time.sleep(0.02 * (3 - i))
        if i == 1:
            raise ZeroDivisionError("on purpose")
        done.append(i)
        return i

    with Workers(3) as pool:
        assert pool.map(lambda i: late(2 * i), range(2)) == [0, 2]
        assert not pool.stopping
        with pytest.raises(ZeroDivisionError, match="on purpose"):
            pool.map(late, range(3))
        assert pool.stopping and sorted(done) == [0, 0, 2, 2], "nothing is at work any more"


def test_as_many_as_there_are_seeds_and_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8), raising=False)
    assert [workers_for(*given) for given in [(1, 1), (5, 1), (16, 1), (16, 3), (16, 9)]] == [1, 5, 8, 2, 1]
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: object())
    assert workers_for(16, 1) == 1, "the jobs of a sweep share the cores"
