"""The climb of `seqbench span`: each entrant's next spans are run, until none is due."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from seqbench.errors import say
from seqbench.results.rendering.rows import duration
from seqbench.results.spans.measured import Measured, at_span
from seqbench.results.statistics.span import Outcomes
from seqbench.runs.result import Result
from seqbench.runs.store import read_result
from seqbench.span.cost import Costs
from seqbench.span.plan import Part, SpanPlan
from seqbench.sweeps.checking import answers
from seqbench.sweeps.job import Facts, Job, Refused
from seqbench.sweeps.known import known
from seqbench.sweeps.launch import prepare, run
from seqbench.sweeps.sweep import Sweep


@dataclass
class Course:
    """How far a part has come.

    Attributes:
        part: of the plan.
        results: of its runs that have ended, at each span.
        lacking: the spans that were tried and lack runs, with which: `2 runs, which failed`.
        at_work: jobs of it that have not ended.
    """

    part: Part
    results: dict[int, list[Result]] = field(default_factory=dict)
    lacking: dict[int, str] = field(default_factory=dict)
    at_work: int = 0

    @property
    def outcomes(self) -> Outcomes:
        """How many runs solved the task at each span that is complete, of how many."""
        return {
            span: (sum(run.steps_to_solve is not None for run in runs), len(runs))
            for span, runs in self.complete.items()
        }

    @property
    def complete(self) -> dict[int, list[Result]]:
        """The runs at each span at which all have ended that were asked for."""
        found = {}
        for span, runs in sorted(self.results.items()):
            its = self.part.protocol
            whole = max((n for n in (its.n_seeds, its.most_seeds) if n <= len(runs)), default=0)
            if whole:
                found[span] = runs[:whole]
        return found

    def due(self) -> dict[int, int]:
        """Return the spans to run next with the number of runs, but for those that cannot be had."""
        return {s: n for s, n in self.part.next(self.outcomes).items() if s not in self.lacking}

    def note(self, span: int, n: int, results: Sequence[Result] | None) -> None:
        """Note how the runs of a span stand.

        Args:
            span: the span.
            n: how many runs it is to have.
            results: of those; None where they were refused. Runs that ended before are not lost by that.
        """
        ended = [result for result in results or () if result.status != "failed"]
        known = self.results.setdefault(span, [])
        if len(ended) > len(known):
            self.results[span] = known = ended
        if left := max(0, n - len(known)):
            how = "failed" if results is not None else "were refused" if left > 1 else "was refused"
            self.lacking[span] = f"{left} run{'s' * (left > 1)}, which {how}"


def check(plan: SpanPlan, timed: bool) -> dict[int, list[tuple[int, float]]] | None:
    """Check each part at its least and its largest span; say why one cannot be run.

    Args:
        plan: of the command.
        timed: whether to measure what a step takes.

    Returns:
        For each part, by number, span and core-seconds of a step (0 where not measured) at both; None if one
        was refused.
    """
    places: list[tuple[int, int]] = []
    jobs: list[Job] = []
    for i, part in enumerate(plan.parts):
        for span in dict.fromkeys((part.protocol.least, part.protocol.most)):
            places.append((i, span))
            jobs.append(part.job(len(jobs), span, 1))
    found: dict[int, list[tuple[int, float]]] = {i: [] for i in range(len(plan.parts))}
    refused: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for job, answer in answers(jobs, Path(folder), timed):
            i, span = places[job.number]
            if isinstance(answer, Refused):
                refused.setdefault(i, f"{job.label}: {answer.sentence}")
            else:
                found[i].append((span, (answer.seconds_per_step or 0.0) * answer.threads))
    for sentence in refused.values():
        say(sentence)
    return None if refused else {i: sorted(its) for i, its in found.items()}


def measure(plan: SpanPlan) -> tuple[list[Course], int] | None:
    """Run what is due until nothing is; return how each part ended, and the exit code.

    Each part climbs by itself: what it runs next waits for its own runs alone, so that no core is idle while
    another part has a long run at work.

    Returns:
        None if a part was refused.

    Raises:
        Stopped: the user has stopped it. Asked again, it goes on.
    """
    courses = [Course(part) for part in plan.parts]
    asked: list[tuple[Course, int, int]] = []  # course, span and runs of each job, by its number

    def due(course: Course) -> list[Job]:
        """Return the jobs of a part that come next, once all is taken in that was run before."""
        while spans := course.due():
            jobs = []
            # The longest first: what is left at the end is then short.
            for span, n in sorted(spans.items(), reverse=True):
                job = course.part.job(len(asked), span, n)
                if facts := known(job):
                    course.note(span, n, _results(facts, n))
                else:
                    asked.append((course, span, n))
                    jobs.append(job)
            if jobs:
                course.at_work = len(jobs)
                return jobs
        return []

    def ended(job: Job) -> list[Job]:
        """Take in a job that has ended; return those that follow from it."""
        course, span, n = asked[job.number]
        course.note(span, n, _results(sweep.facts.get(job.number), n))
        course.at_work -= 1
        return [] if course.at_work else due(course)

    first = [job for course in courses for job in due(course)]
    prepare(first)
    if first and check(plan, timed=False) is None:
        return None
    sweep = Sweep(first, plan.folder / "logs")
    if first:
        run(sweep, replace(plan.launcher, show_test=False), lambda folder: None, ended)
    return courses, max([*sweep.codes, int(any(course.lacking for course in courses))])


def _results(facts: Facts | None, n: int) -> list[Result] | None:
    """Return the results of a job's first runs; None where it was refused."""
    if facts is None:
        return None
    found = [read_result(Path(facts.group, f"seed-{seed}")) for seed in facts.seeds[:n]]
    return [each for each in found if each is not None and each.identity == facts.identity]


def measured(courses: Sequence[Course], costs: Costs) -> list[Measured]:
    """Return what was measured of each part, for tables and figure."""
    return [_measured(course, costs) for course in courses]


def _measured(course: Course, costs: Costs) -> Measured:
    part = course.part
    spans = [
        at_span(span, part.span.dependency(span), costs.of(runs[0]), runs)
        for span, runs in course.complete.items()
    ]
    lacking = [
        f"{part.label} on {part.protocol.task} at {span} lacks {runs}."
        for span, runs in sorted(course.lacking.items())
    ]
    return Measured(part.protocol, part.label, tuple(spans), tuple(lacking))


def cost_lines(plan: SpanPlan, seconds: dict[int, list[tuple[int, float]]]) -> list[str]:
    """Return what a plan would run, and the most that this could take.

    Args:
        plan: of the command.
        seconds: that `check` measured; between two spans a step's time is taken to go in a straight line.
    """
    lines, total = [], 0.0
    for i, part in enumerate(plan.parts):
        spans, its = part.possible(), part.protocol
        steps = its.max_steps * its.most_seeds
        took = sum(_at(span, seconds[i]) for span in spans) * steps
        total += took
        lines.append(
            f"{part.label} on {its.task}: of the spans {', '.join(map(str, spans))}, with {its.n_seeds} to "
            f"{its.most_seeds} runs each; at most {len(spans) * its.most_seeds} runs, "
            f"{len(spans) * steps:,} steps, about {duration(took)} of one core."
        )
    return [*lines, f"In all at most about {duration(total)} of one core, without evaluations."]


def _at(span: int, measured: Sequence[tuple[int, float]]) -> float:
    (low, first), (high, last) = measured[0], measured[-1]
    return first if high == low else first + (last - first) * (span - low) / (high - low)
