"""What was measured of each entrant at each span, and what follows from it."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from seqbench.errors import ConfigError
from seqbench.results.statistics.cost import Growth, cost_growth
from seqbench.results.statistics.falling import falling_interval
from seqbench.results.statistics.goodness_of_fit import goodness_of_fit
from seqbench.results.statistics.proportion import wilson_interval
from seqbench.results.statistics.span import Span, fit_seeds, fit_span
from seqbench.results.statistics.survival import Survival, kaplan_meier
from seqbench.results.summaries.note import SHARED
from seqbench.runs.result import Result, Status
from seqbench.runs.store import run_folder


@dataclass(frozen=True)
class AtSpan:
    """The runs of an entrant at one span, all of which have ended.

    Attributes:
        span: the value of the task's key.
        dependency: the nearest and the farthest distance that it means, in steps.
        folder: of the runs, `<task>/<model>-<hash>`; each is in `seed-<n>`.
        seeds: of the runs.
        solved_at: the step at which each solved the task on the validation set; None for one that did not or
            that diverged.
        solved_on_test: whether the test set says that a run solved it; None where there is no test.
        status: how each ended.
        budgets: the steps in which each could have solved the task.
        parameters: live ones of the model; None where they are not known.
        state_size: numbers that the model carries from step to step; None where they are not known.
        step_flops: the floating-point operations of an optimisation step; None where they are not counted.
        made_with: what the runs should share, such as `devices`, to all that it is; empty where not known.
    """

    span: int
    dependency: tuple[int, int]
    folder: str
    seeds: tuple[int, ...]
    solved_at: tuple[int | None, ...]
    solved_on_test: tuple[bool | None, ...]
    status: tuple[Status, ...]
    budgets: tuple[int, ...]
    parameters: int | None
    state_size: int | None
    step_flops: int | None
    made_with: dict[str, tuple[str, ...]]

    @property
    def n(self) -> int:
        """The number of runs."""
        return len(self.seeds)

    @property
    def solved(self) -> int:
        """The number of runs that solved the task."""
        return sum(step is not None for step in self.solved_at)

    @property
    def confirmed(self) -> AtSpan:
        """The same, but that no run counts as solved of which the test set says otherwise."""
        pairs = zip(self.solved_at, self.solved_on_test, strict=True)
        return replace(self, solved_at=tuple(None if on_test is False else step for step, on_test in pairs))

    @property
    def interval(self) -> tuple[float, float]:
        """The Wilson interval of the solve rate."""
        return wilson_interval(self.solved, self.n)

    @property
    def steps(self) -> Survival:
        """The steps to solve the task; runs that did not are censored at their budgets."""
        return kaplan_meier(self.solved_at, self.budgets)

    @property
    def test_differs(self) -> int:
        """The number of runs of which the test set says otherwise."""
        pairs = zip(self.solved_at, self.solved_on_test, strict=True)
        return sum(on_test is not None and on_test != (step is not None) for step, on_test in pairs)


def at_span(
    span: int, dependency: tuple[int, int], step_flops: int | None, results: Sequence[Result]
) -> AtSpan:
    """Return what the results of an entrant at a span come to; the arguments are fields of `AtSpan`."""
    first = results[0]
    return AtSpan(
        span=span,
        dependency=dependency,
        folder=run_folder(first.task, first.model, first.hash).as_posix(),
        seeds=tuple(result.seed for result in results),
        solved_at=tuple(r.steps_to_solve for r in results),
        solved_on_test=tuple(result.solved_on_test for result in results),
        status=tuple(result.status for result in results),
        budgets=tuple(result.budget for result in results),
        parameters=first.parameters,
        state_size=first.state_size,
        step_flops=step_flops,
        made_with={
            name: tuple(sorted({of(result) or "" for result in results})) for name, of in SHARED.items()
        },
    )


@dataclass(frozen=True)
class Protocol:
    """What all entrants on a task have in common.

    Attributes:
        task: the task.
        key: the key that sets the span.
        max_steps: the budget of optimisation steps.
        eval_every: steps between two looks at the validation set.
        patience: evaluations in a row without a new best one after which a run ends; None for no such end.
        stop_when_solved: whether a run ends once it has solved the task.
        batch_size: sequences of a step.
        least: the least span that was tried.
        most: the largest span that could be.
        n_seeds: the runs at each span.
        most_seeds: those where the rate falls, if both ends of the interval lie among the spans tried, more
            than a factor of two apart.
        by_staircase: whether a staircase chose the spans, and which of them have more runs.
    """

    task: str
    key: str
    max_steps: int
    eval_every: int
    patience: int | None
    stop_when_solved: bool
    batch_size: int
    least: int
    most: int
    n_seeds: int
    most_seeds: int
    by_staircase: bool


@dataclass(frozen=True)
class Measured:
    """One entrant on one task.

    Attributes:
        protocol: of the task.
        label: the entrant's name.
        spans: in ascending order, those of which all runs have ended.
        lacking: a sentence for each span that was asked for and lacks runs.
    """

    protocol: Protocol
    label: str
    spans: tuple[AtSpan, ...]
    lacking: tuple[str, ...] = ()

    @cached_property
    def fit(self) -> Span | None:
        """The curve, its 50 % point and the interval; None where no span is complete.

        Runs at different spans are independent, unless the same seeds ran at each.

        Raises:
            ConfigError: some spans share seeds and some do not.
        """
        if not self.spans:
            return None
        if self.fresh:
            return fit_span(self._outcomes())
        if len({at.seeds for at in self.spans}) > 1:
            raise ConfigError(
                f"{self.label} on {self.protocol.task}: some spans share seeds and some do not, so that the "
                "runs are neither independent nor of whole seeds."
            )
        return fit_seeds({at.span: [step is not None for step in at.solved_at] for at in self.spans})

    @cached_property
    def confirmed(self) -> Measured:
        """The same, but that no run counts as solved of which the test set says otherwise.

        Among many looks at a validation set a mark may be met by luck, such as one without any error. A run
        is stopped there, though, and may have been confirmed later; and the weights that are tested are the
        best by the metric on the validation set, which need not be those of that look.
        """
        return replace(self, spans=tuple(at.confirmed for at in self.spans))

    @property
    def is_confirmed(self) -> bool:
        """Whether the test set confirms each run that solved the task."""
        return self.confirmed == self

    @cached_property
    def fit_p(self) -> float | None:
        """How probable rates are that follow the curve no better; None where no span is complete.

        None too where the same seeds ran at each span: seeds that differ would be taken for a misfit.
        """
        if self.fit is None or not self.fresh:
            return None
        return goodness_of_fit(self._outcomes(), self.fit)

    @cached_property
    def falling(self) -> tuple[float, float] | None:
        """The interval of the 50 % point if no curve is assumed; None where `fit_p` is."""
        return None if self.fit_p is None else falling_interval(self._outcomes())

    @cached_property
    def mixed(self) -> dict[str, int]:
        """What the runs should share and do not, with how many there are of it: `{"devices": 2}`."""
        found: dict[str, set[str]] = defaultdict(set)
        for at in self.spans:
            for name, values in at.made_with.items():
                found[name].update(values)
        return {name: len(values) for name, values in found.items() if len(values) > 1}

    @cached_property
    def fresh(self) -> bool:
        """Whether no seed ran at two spans."""
        return not any({*a.seeds} & {*b.seeds} for a, b in itertools.combinations(self.spans, 2))

    def _outcomes(self) -> dict[int, tuple[int, int]]:
        return {at.span: (at.solved, at.n) for at in self.spans}

    def sequence_growth(self) -> Growth:
        """Return how the sequences to solve grow with the span; see `_growth`."""
        return self._growth([self.protocol.batch_size] * len(self.spans))

    def flops_growth(self) -> Growth:
        """Return how the training FLOPs to solve grow with the span; see `_growth`."""
        return self._growth([at.step_flops for at in self.spans])

    def _growth(self, costs: Sequence[int | None]) -> Growth:
        """Fit what a run costs to the spans up to which every run solved the task.

        Where some did not, those that did are the cheap ones, and the fit would be too flat. Steps are known
        to within `eval_every`: where most runs solve the task by the first look, there is no fit.

        Args:
            costs: of a step at each span; a span of which it is not known is left out.
        """
        pairs = zip(self.spans, costs, strict=True)
        solved = [
            (at.span, cost, [step for step in at.solved_at if step is not None])
            for at, cost in itertools.takewhile(lambda pair: pair[0].solved == pair[0].n, pairs)
            if cost
        ]
        steps = [step for *_, of_span in solved for step in of_span]
        if 2 * sum(step <= self.protocol.eval_every for step in steps) > len(steps):
            return cost_growth({})
        return cost_growth({span: [step * cost for step in of_span] for span, cost, of_span in solved})

    def plain(self) -> dict[str, Any]:
        """Return all that is known, in values of JSON. An end that is open, or no number, is None."""
        growths = {"sequences": self.sequence_growth(), "flops": self.flops_growth()}
        return {
            "task": self.protocol.task,
            "entrant": self.label,
            "span": self._plain_fit(),
            "confirmed": self.confirmed._plain_fit(),
            "growth": {name: asdict(growth) for name, growth in growths.items()},
            "protocol": asdict(self.protocol),
            "spans": [asdict(at) for at in self.spans],
            "lacking": list(self.lacking),
        }

    def _plain_fit(self) -> dict[str, Any] | None:
        if self.fit is None:
            return None
        low, high = self.falling or (None, None)
        assumed = {"fit_p": self.fit_p, "falling_low": low, "falling_high": high}
        return {"text": str(self.fit), **asdict(self.fit), **assumed}
