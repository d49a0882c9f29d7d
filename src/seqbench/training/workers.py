"""Workers: threads over which the seeds of a job go, so that they use all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch

from seqbench.processes import available_cores, is_parallel_job

Item = TypeVar("Item")
Found = TypeVar("Found")


def flushes_denormals() -> bool:
    """Whether this thread takes the smallest numbers for zero."""
    return bool(torch.tensor(1e-310, dtype=torch.float64, device="cpu") + 0 == 0)


def _like_the_caller(threads: int, flushes: bool) -> None:
    """Set what torch keeps for each thread; without a number of threads each worker would use all."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(flushes)


class Workers:
    """A pool of threads; with one worker the calling thread does all.

    What a worker computes does not depend on how many there are: each has its own number of torch's threads,
    and works under the caller's modes of autograd. (Autocast keeps its casts of weights where all threads
    find them, so that one worker must do for it.)

    Args:
        count: how many.
        threads: torch's threads for each worker.

    Attributes:
        stopping: whether an item has failed, or the user has interrupted: what still runs may end early.
    """

    def __init__(self, count: int, threads: int = 1) -> None:
        self.stopping = False
        begins = _like_the_caller, (threads, flushes_denormals())
        self._pool = ThreadPoolExecutor(count, "seed", *begins) if count > 1 else None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[[Item], Found], items: Iterable[Item]) -> list[Found]:
        """Return the function's value for each item.

        Raises:
            BaseException: the first item's error, once no worker is at work any more.
        """
        if self._pool is None:
            return [function(item) for item in items]
        grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

        def call(item: Item) -> Found:
            with torch.inference_mode(inference), torch.set_grad_enabled(grad):
                return function(item)

        futures = [self._pool.submit(call, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            self.stopping = True
            for future in futures:
                future.cancel()
            for future in futures:
                if not future.cancelled():
                    future.exception()
            raise


def workers_for(seeds: int, threads: int) -> int:
    """Return how many workers a job has: as many as there are seeds and cores for.

    Args:
        seeds: that train together.
        threads: of each worker.
    """
    if is_parallel_job():  # the other jobs have the other cores
        return 1
    return max(1, min(seeds, available_cores() // threads))
