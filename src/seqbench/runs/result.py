"""The result of a run: what is stored of it, and what each number means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from seqbench.tasks.metrics import Direction, Metric

#: Raised when the meaning of a field changes.
SCHEMA = 3

Status = Literal["solved", "finished", "diverged", "failed"]
Metrics = dict[str, float | None]


class Ending(Protocol):
    """How a run ended, wherever it is kept: in a result, in a sweep, in a search."""

    @property
    def status(self) -> str: ...
    @property
    def solved_at_step(self) -> int | None: ...


class Configured(Protocol):
    """A run that says what it is: a `Result`, or a `StoredRun`."""

    @property
    def task(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def status(self) -> str: ...
    @property
    def config(self) -> dict[str, Any]: ...


def solved_step(run: Ending) -> int | None:
    """Return the step at which a run solved its task; None for one that did not, or that diverged later.

    All that counts the runs which solved a task counts by this.
    """
    return None if run.status == "diverged" else run.solved_at_step


@dataclass
class Result:
    """How one run, that is one configuration with one seed, ended.

    A metric that is not finite is stored as null (None), so that every reader of JSON can read the file.
    """

    task: str
    model: str
    hash: str
    seed: int
    status: Status
    config: dict[str, Any]
    identity: str = ""
    """The whole hash of what decides the numbers; `hash` is its beginning."""
    data: str | None = None
    """The fingerprint of the task's data; None where the configuration alone makes them."""
    revisions: dict[str, int] = field(default_factory=dict)
    """Component and parameter to the revision of its numbers, `optim.omega: 2`, where there is one."""
    code: dict[str, str] = field(default_factory=dict)
    """Component of another package to a hash of its source, `model.cell: 1234abcd`."""
    metric: str | None = None
    """The name of the task's headline metric, a key of `validation` and of each entry of `test`."""
    metrics: dict[str, Metric] = field(default_factory=dict)
    """Name to meaning, for every metric in `validation` and `test`."""
    solved_when: str | None = None
    """The task's condition for a solved run, in words, with its source."""
    solved_metric: str | None = None
    """The name of the metric that `solved_when` is about."""
    solved_at_step: int | None = None
    """The optimisation step of the first evaluation on the validation set that met `solved_when`."""
    solved_on_test: bool | None = None
    """Whether the test at the training length met `solved_when`; None where there is no such test."""
    steps: int = 0
    """Optimisation steps taken."""
    sequences: int = 0
    """Training sequences seen."""
    best_step: int | None = None
    """The optimisation step of the evaluation whose weights were tested."""
    validation: Metrics = field(default_factory=dict)
    test: dict[str, Metrics] = field(default_factory=dict)
    """Test length, as a string, to metrics."""
    baseline_loss: dict[str, float] = field(default_factory=dict)
    """Test length, as a string, to the loss of the best predictor that ignores the input."""
    chance: dict[str, dict[str, float]] = field(default_factory=dict)
    """Test length, as a string, to what other metrics that predictor has, those that the task knows."""
    parameters: int | None = None
    """Live parameters: trained entries whose gradient is not structurally zero."""
    state_size: int | None = None
    """Numbers in the state that the model carries from step to step, for one sequence."""
    wall_time_s: float = 0.0
    """Seconds of training and evaluation over all restarts. Seeds trained together divide their time."""
    sequences_per_s: float | None = None
    """Training throughput in this run's part of the time, without evaluations."""
    peak_memory_bytes: int | None = None
    """Peak memory of the process, or of the device, with all seeds that train in it."""
    mode: str | None = None
    """The execution mode, which decides speed and rounding, such as `seeds vectorized, engine loop`."""
    execution: dict[str, str | int | bool] = field(default_factory=dict)
    """What of the mode the run is identified by: engine, threads, devices, vectorized, where not plain."""
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    """The commit of the code, with + and a hash of uncommitted changes; several, where the code changed."""
    continued_from: str | None = None
    """The folder `<model>-<hash>` of the run of fewer steps whose last checkpoint this one went on from."""
    error: str | None = None
    finished_at: str = ""
    """UTC, ISO 8601."""
    sha256: dict[str, str] = field(default_factory=dict)
    """File to checksum, for the other files of the folder."""
    schema: int = SCHEMA

    @property
    def headline(self) -> Metric | None:
        """The headline metric; None where the run failed before it was known."""
        return self.metrics.get(self.metric or "")

    @property
    def steps_to_solve(self) -> int | None:
        """The step at which the run solved its task; None for one that did not, or that diverged."""
        return solved_step(self)

    @property
    def budget(self) -> int:
        """The steps that the run was given; one that did not solve its task is censored there.

        A run that diverged, or that its patience ended, took fewer, and counts as unsolved after all of them:
        its own settings let it take no more, so that it would never have solved the task. To censor it where
        it ended would say that it might have, as soon as those that went on.
        """
        return int(self.config.get("trainer", {}).get("max_steps", self.steps))

    def value_at(self, length: int, name: str | None = None) -> float | None:
        """Return a metric of the test at a length, the headline metric if no name is given.

        None where there is no such test or its value is not finite, and for a run that diverged: what is
        stored of that was measured with weights from before.
        """
        if self.status == "diverged":
            return None
        return self.test.get(str(length), {}).get(name or self.metric or "")

    def baseline_at(self, name: str, length: str) -> float | None:
        """Return a metric of the best predictor that ignores the input, at a test length; None if unknown."""
        known = self.baseline_loss.get(length) if name == "loss" else None
        return known if known is not None else self.chance.get(length, {}).get(name)

    @property
    def direction(self) -> Direction | None:
        """Whether the headline metric is better larger (max) or smaller (min)."""
        return None if self.headline is None else self.headline.direction
