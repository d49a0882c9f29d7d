"""What is seen of a sweep: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from seqbench.errors import printable, reader_may_leave, say
from seqbench.results.rendering.rows import duration
from seqbench.runs.result import solved_step
from seqbench.sweeps.job import Ended, Unit

#: Seconds between two plain lines about what runs.
MINUTE = 60.0
#: Stands for all models.
ALL = object()
#: Rows of the table of what runs, at most.
MOST_ROWS = 20


@dataclass
class Running:
    """A process at work, as it was last heard of."""

    unit: Unit
    since: float
    first_step: int | None = None
    first_at: float = 0.0
    step: int = 0
    at: float = 0.0
    text: str = ""

    @property
    def rate(self) -> float | None:
        """Steps a second, all its seeds together at each."""
        steps, seconds = self.step - (self.first_step or 0), self.at - self.first_at
        return steps / seconds if steps and seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """At its rate, to the last step; it may end before."""
        rate = self.rate
        return None if rate is None else max(0.0, (self.unit.facts.max_steps - self.step) / rate)

    def heard(self, step: int, text: str | None) -> None:
        """Take in a message of progress."""
        self.at = time.monotonic()
        if self.first_step is None or step < self.step:  # a next group of seeds begins
            self.first_step, self.first_at = step, self.at
        self.step = step
        self.text = text or self.text


class Display:
    """The state of a sweep, shown. Used as a context.

    Args:
        slots: how many processes run at a time.
        show_test: whether figures of the test are shown.
    """

    def __init__(self, slots: int, show_test: bool = True) -> None:
        self.jobs = 0
        self.slots = slots
        self.show_test = show_test
        self.counts: Counter[str] = Counter()  # of jobs: done, skipped, failed
        self.waiting: Collection[Unit] = ()
        self.running: dict[int, Running] = {}
        self._took: list[tuple[Unit, float]] = []  # seconds, by the process
        self._spoken = time.monotonic()
        self._evaluated = False
        self._console = Console(file=sys.stderr)
        self._live: Live | None = None

    def __enter__(self) -> Display:
        if sys.stderr.isatty():
            self._live = Live(
                get_renderable=self._table, console=self._console, refresh_per_second=4, transient=True
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    # What happens

    def add(self, jobs: int, left: Mapping[int, Sequence[int]]) -> None:
        """So many jobs more; `left` says which seeds those lack that were not refused."""
        self.jobs += jobs
        self.counts["failed"] += jobs - len(left)
        self.counts["skipped"] += sum(not seeds for seeds in left.values())

    def started(self, number: int, unit: Unit) -> None:
        """A process has started."""
        self.running[number] = Running(unit, time.monotonic())

    def progressed(self, number: int, step: int, text: str | None) -> None:
        """A process has trained to a step; `text` says what an evaluation found."""
        self.running[number].heard(step, text)
        self._evaluated |= text is not None

    def ended(self, number: int) -> None:
        """A process has ended."""
        running = self.running.pop(number)
        self._took.append((running.unit, time.monotonic() - running.since))

    def line(self, text: str) -> None:
        """Print a line that stays."""
        if self._live is not None and sys.stdout.isatty():
            self._live.console.print(Text(printable(text)), soft_wrap=True)
        else:
            with reader_may_leave():
                sys.stdout.write(f"{printable(text)}\n")

    def warn(self, sentence: str) -> None:
        """Print a sentence about what went wrong."""
        if self._live is not None:
            self._live.console.print(Text(f"seqbench: {printable(sentence)}"), soft_wrap=True)
        else:
            say(sentence)

    def tick(self) -> None:
        """Say in a plain line how far it is, once a minute and not more often than anything was evaluated."""
        now = time.monotonic()
        if self._live is None and self._evaluated and now - self._spoken >= MINUTE:
            self._spoken, self._evaluated = now, False
            each = "; ".join(f"{r.unit.label} {_far(r)}" for r in self._shown())
            self.line(f"{self.summary()}; {each}")

    # What is shown

    def summary(self) -> str:
        """Return `12/60 jobs, 3 failed, about 14 min left`."""
        done = sum(self.counts.values())
        parts = [f"{done}/{self.jobs} jobs"]
        parts += [f"{self.counts[kind]} {kind}" for kind in ("skipped", "failed") if self.counts[kind]]
        left = self.seconds_left()
        return ", ".join(parts) + (f", about {duration(left)} left" if left is not None else "")

    def seconds_left(self) -> float | None:
        """Return about how long the sweep still takes: as if what waits took what others took."""
        now = time.monotonic()
        left = [(running, running.seconds_left) for running in self.running.values()]
        pace = _Pace([*self._took, *((r.unit, now - r.since + s) for r, s in left if s is not None)])
        if not pace.known:
            return None
        rest = [pace.of(running.unit) if seconds is None else seconds for running, seconds in left]
        return max((sum(rest) + sum(map(pace.of, self.waiting))) / self.slots, *rest, 0.0)

    def _shown(self) -> Sequence[Running]:
        return list(self.running.values())[:MOST_ROWS]

    def _table(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for running in self._shown():
            rate, left = running.rate, running.seconds_left
            table.add_row(
                Text(printable(running.unit.label)),
                Text(f"{running.step:,}/{running.unit.facts.max_steps:,}"),
                Text(f"{rate:.0f} steps/s" if rate else "", style="dim"),
                Text(duration(left) if left is not None else ""),
                Text(printable(running.text)),
            )
        more = len(self.running) - len(self._shown())
        lines = [Text(self.summary(), style="bold")] + [Text(f"and {more} more")] * (more > 0)
        return Group(table, *lines)


class _Pace:
    """Seconds for a time step of training: of each model, and of all for models that are not known yet."""

    def __init__(self, took: Iterable[tuple[Unit, float]]) -> None:
        self._seconds: dict[Any, float] = defaultdict(float)
        self._steps: dict[Any, int] = defaultdict(int)
        for unit, seconds in took:
            for kind in (ALL, _model(unit)):
                self._seconds[kind] += seconds
                self._steps[kind] += _time_steps(unit)

    @property
    def known(self) -> bool:
        """Whether anything is."""
        return bool(self._steps)

    def of(self, unit: Unit) -> float:
        """Return how many seconds a unit takes."""
        kind = _model(unit) if _model(unit) in self._steps else ALL
        return _time_steps(unit) * self._seconds[kind] / self._steps[kind]


def _model(unit: Unit) -> Any:
    return unit.job.choices.get("model")


def _time_steps(unit: Unit) -> int:
    """Return how many time steps a unit trains over, at most; updates, where its task has no length."""
    length = (unit.job.config.get("task") or {}).get("length")
    return max(1, len(unit.seeds) * unit.facts.max_steps) * (length if isinstance(length, int) else 1)


def _far(running: Running) -> str:
    rate = running.rate
    parts = [
        f"{running.step}/{running.unit.facts.max_steps}",
        running.text,
        f"{rate:.0f} steps/s" if rate else "",
    ]
    return " ".join(part for part in parts if part)


def verdict(ended: Sequence[Ended], show_test: bool = True) -> str:
    """Return how the runs of a configuration ended: `5/5 solved, median 400 steps`.

    The median is that of all runs, the ones that did not solve the task being the last; where it is one of
    them there is none.
    """
    failed = [run for run in ended if run.status == "failed"]
    diverged = [run for run in ended if run.status == "diverged"]
    parts = []
    if any(run.solvable for run in ended):
        solved_at = [solved_step(run) for run in ended]
        solved = sum(step is not None for step in solved_at)
        steps = statistics.median(math.inf if step is None else step for step in solved_at)
        in_steps = f", median {steps:,.0f} steps" if steps < math.inf else ""
        parts.append(f"{solved}/{len(ended)} solved{in_steps}")
    values = [run.value for run in ended if run.value is not None and show_test]
    if values:
        span = f" ({min(values):.3g} to {max(values):.3g})" if len(values) > 1 else ""
        name = next(run.metric for run in ended if run.value is not None)
        parts.append(f"test {name} {statistics.median(values):.3g}{span}")
    parts += [f"{len(found)} {kind}" for kind, found in (("diverged", diverged), ("failed", failed)) if found]
    return ", ".join(parts) or f"{len(ended)} ended"
