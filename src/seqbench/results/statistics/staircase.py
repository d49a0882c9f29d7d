"""Which spans to try next: a staircase that finds where the rate of solved runs falls."""

from __future__ import annotations

import math

from seqbench.results.statistics.span import Outcomes, fit_span

#: The factor between the ends of the 50 % point's interval above which a span gets more runs.
WIDE = 2.0
#: Runs without a success, over spans in a row, after which no longer span is tried: where a third of runs
#: solve the task, eight fail in 4 % of cases.
UNSOLVED = 8


def next_runs(outcomes: Outcomes, least: int, most: int, n: int, most_n: int) -> dict[int, int]:
    """Return the spans to run next, and how many runs each is to have in all; none if all is done.

    First the staircase of `next_spans`, with n runs a span. Then, where the interval of the 50 % point has
    two ends that are further apart than a factor of two, `most_n` runs at each span where the rate falls:
    from the last that every run solved to the first from which on none did.

    Args:
        outcomes: as for `next_spans`.
        least: the least span.
        most: the largest span that may be tried.
        n: the runs of a span.
        most_n: the runs of one where the rate falls, if that is needed.
    """
    if spans := next_spans(outcomes, least, most, n):
        return dict.fromkeys(spans, n)
    if not WIDE < fit_span(outcomes).factor < math.inf:
        return {}
    top, bottom = _fall(outcomes)
    return {span: most_n for span, (_, runs) in outcomes.items() if top <= span <= bottom and runs < most_n}


def possible_spans(least: int, most: int) -> list[int]:
    """Return every span that `next_spans` can ask for, ascending."""
    return _grid(least, most, octave=2)


def next_spans(outcomes: Outcomes, least: int, most: int, n: int) -> list[int]:
    """Return the spans to run next, ascending; none if the staircase is over.

    Spans double from the least, with `most` as the last, until eight runs in a row or more solve nothing: at
    one span, or at as many in a row as it takes. Then the half-octaves in between are tried where the rate
    falls: from the last doubling that every run solved to the first from which on none did. What comes next
    depends on the outcomes alone, so that a stopped search goes on where it was; spans that are returned
    together can run in parallel, and each of them is needed whatever the others give.

        next_spans({}, 10, 400, 5)                                    → [10, 20]
        next_spans({10: (5, 5), 20: (5, 5)}, 10, 400, 5)              → [40, 80]
        next_spans({…, 40: (3, 5), 80: (0, 5)}, 10, 400, 5)           → [160]
        next_spans({…, 160: (0, 5)}, 10, 400, 5)                      → [28, 57]

    Args:
        outcomes: at each span that is done how many runs solved the task, of how many.
        least: the least span.
        most: the largest span that may be tried.
        n: the runs of a span.

    Raises:
        ValueError: `most` is below `least`, or `least` below 1.
    """
    if not 1 <= least <= most:
        raise ValueError(f"spans from {least} to {most}: the least is 1 or more, and the largest no less")
    doublings = _grid(least, most, octave=1)
    if missing := _doubling(outcomes, doublings, n):
        return missing
    top, bottom = _fall({span: outcomes[span] for span in doublings if span in outcomes})
    return [span for span in possible_spans(least, most) if top < span < bottom and span not in outcomes]


def _grid(least: int, most: int, octave: int) -> list[int]:
    """Return whole spans from the least to the largest, `octave` of them an octave.

    The last is `most` itself; one less than half a step below it is left out, but for the least.
    """
    steps = math.floor(octave * math.log2(most / least) - 0.5 + 1e-9)
    below = [round(least * 2 ** (step / octave)) for step in range(steps + 1)]
    return list(dict.fromkeys([least, *below, most]))


def _doubling(outcomes: Outcomes, doublings: list[int], n: int) -> list[int]:
    """Return the next doublings: as many as are needed whatever they give."""
    unsolved = 0
    for i, span in enumerate(doublings):
        if unsolved >= UNSOLVED:
            return []
        if span not in outcomes:
            needed = doublings[i : i + math.ceil((UNSOLVED - unsolved) / n)]
            return [span for span in needed if span not in outcomes]
        solved, runs = outcomes[span]
        unsolved = unsolved + runs if solved == 0 else 0
    return []


def _fall(outcomes: Outcomes) -> tuple[float, float]:
    """Return the last span that every run solved, and the first from which on none did.

    A run that fails anyhow, short of the fall, does not make the fall begin there. They are 0 and infinity
    where there is no such span.
    """
    top = max((span for span, (solved, n) in outcomes.items() if solved == n), default=0.0)
    bottom = math.inf
    for span in sorted(outcomes, reverse=True):
        if outcomes[span][0] > 0:
            break
        bottom = span
    return top, bottom
