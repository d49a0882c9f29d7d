"""The tables of spans: the span of each entrant on each task, what it costs, and the runs at each span."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from seqbench.results.comparing.problems import size_remark
from seqbench.results.numbers import MISSING, count, counts
from seqbench.results.spans.measured import AtSpan, Measured, Protocol
from seqbench.results.statistics.compare import holm
from seqbench.results.statistics.goodness_of_fit import MISFIT

Row = dict[str, str]
#: What marks an entrant whose spans are not all complete.
MARK = "*"
#: What marks one whose rates do not follow the curve.
MISFIT_MARK = "†"
#: What marks one whose runs do not share the platform or the code.
MIXED_MARK = "‡"
#: What the column of spans is called that the test set confirms.
CONFIRMED = "{}, confirmed"
LEGEND = (
    "Each cell: the span at which half of the runs solve the task, with its 95 % interval: a logistic curve "
    "in log span, with up to 30 % of runs that fail at any span, by penalised likelihood (Firth, 1993) and "
    "its profile. <, >: outside of the spans tried; 'unsure': the rates do not place it among them. "
    "Parameters: live ones. State: numbers that are carried from step to step for one sequence. Both over "
    "tasks and spans."
)
CONFIRMED_LEGEND = (
    "Confirmed: the same if no run counts as solved of which the test set, read once at the end, says "
    "otherwise. A run ends at the first of many looks at the validation set at which it meets the mark, "
    "which may be by luck; it may also have been confirmed later, had it gone on. Tested are the weights "
    "with the best metric on the validation set, which need not be those of that look."
)
COSTS = (
    "Cost to solve grows as span^exponent: the exponent with its 95 % interval, over the spans up to which "
    "every run solved the task; none where most solve it by the first look at the validation set, before "
    "which steps are not known (trainer.eval_every). FLOPs: of matrix products, forward and backward, in the "
    "form that is trained."
)
DETAILS = (
    "Solved: on the validation set, with the 95 % Wilson interval; test differs: runs of which the test set "
    "says otherwise. FLOPs a step: of a training step, the whole batch. Steps, sequences and FLOPs to solve: "
    "medians by Kaplan–Meier, unsolved runs censored."
)


def span_rows(measured: Sequence[Measured]) -> list[Row]:
    """Return the table of spans: a row for each entrant with its sizes, a column for each task.

    A second column follows for a task of which the test set does not confirm all runs.
    """
    doubted = {each.protocol.task for each in measured if not each.is_confirmed}
    spans, confirmed = span_cells(measured), span_cells([each.confirmed for each in measured])
    columns: dict[str, Row] = {}
    for task in spans:
        columns[task] = spans[task]
        if task in doubted:
            columns[CONFIRMED.format(task)] = confirmed[task]
    return [
        {"": label, "parameters": _sizes(measured, label, "parameters")}
        | {"state": _sizes(measured, label, "state_size")}
        | {head: of.get(label, MISSING) for head, of in columns.items()}
        for label in dict.fromkeys(each.label for each in measured)
    ]


def span_cells(measured: Sequence[Measured]) -> dict[str, Row]:
    """Return for each task the span of each entrant, with the marks of what must be known of it."""
    cells: dict[str, Row] = {}
    for each, misfit in zip(measured, misfits(measured), strict=True):
        cells.setdefault(each.protocol.task, {})[each.label] = _cell(each, misfit)
    return cells


def legend(measured: Sequence[Measured]) -> str:
    """Return what the cells of the table of spans are."""
    confirmed = all(each.is_confirmed for each in measured)
    return LEGEND if confirmed else f"{LEGEND} {CONFIRMED_LEGEND}"


def _sizes(measured: Sequence[Measured], label: str, name: str) -> str:
    return counts(getattr(at, name) for each in measured if each.label == label for at in each.spans)


def _cell(each: Measured, misfit: str) -> str:
    marks = {MISFIT_MARK: misfit, MIXED_MARK: each.mixed, MARK: each.lacking}
    return str(each.fit or MISSING) + "".join(mark for mark, of in marks.items() if of)


def misfits(measured: Sequence[Measured]) -> list[str]:
    """Return of each what must be known where the rates do not follow the curve; empty where they do.

    p is corrected for the number of curves: of twenty that are true one would be marked otherwise.
    """
    corrected = iter(holm([each.fit_p for each in measured if each.fit_p is not None]))
    return ["" if each.fit_p is None else _misfit(each, next(corrected)) for each in measured]


def _misfit(each: Measured, p: float) -> str:
    if each.fit is None or each.falling is None or p > MISFIT:
        return ""
    low, high = each.falling
    return (
        f"{MISFIT_MARK} {each.label} on {each.protocol.task}: the rates do not follow the curve "
        f"(p = {p:.2g} by Holm's correction for all curves), so that its interval is not to be relied on. If "
        f"no more is assumed than that the rates fall, it is {replace(each.fit, low=low, high=high)}."
    )


def cost_rows(measured: Sequence[Measured]) -> list[Row]:
    """Return the table of costs: a row for each entrant on each task."""
    found = []
    for each in measured:
        sequences, flops = each.sequence_growth(), each.flops_growth()
        spans = f"{sequences.least}–{sequences.most}" if sequences.least < sequences.most else MISSING
        exponents = {"sequences": str(sequences), "FLOPs": str(flops)}
        found.append({"task": each.protocol.task, "": each.label, "spans": spans, **exponents})
    return found


def detail_rows(measured: Sequence[Measured]) -> list[Row]:
    """Return the table of runs: a row for each entrant at each span."""
    return [_detail(each, at) for each in measured for at in each.spans]


def _detail(each: Measured, at: AtSpan) -> Row:
    steps, batch = at.steps, each.protocol.batch_size
    low, high = at.interval
    reached = math.isfinite(steps.median)
    return {
        "task": each.protocol.task,
        "": each.label,
        "span": str(at.span),
        "dependency": _range(at.dependency),
        "solved": f"{at.solved}/{at.n} [{100 * low:.0f}–{100 * high:.0f}]%",
        "test differs": str(at.test_differs),
        "diverged": str(at.status.count("diverged")),
        "FLOPs a step": f"{at.step_flops:.2e}" if at.step_flops else MISSING,
        "steps": _steps(at),
        "sequences": count(steps.median * batch) if reached else MISSING,
        "FLOPs": f"{steps.median * at.step_flops:.2e}" if reached and at.step_flops else MISSING,
    }


def _steps(at: AtSpan) -> str:
    """Return the median of the steps, with its interval where that says more than that it was not reached."""
    found = at.steps
    low, high = found.median_low, found.median_high
    censored = [budget for step, budget in zip(at.solved_at, at.budgets, strict=True) if step is None]

    def text(value: float) -> str:
        return f"{value:.10g}" if math.isfinite(value) else f"> {max(censored)}"

    says_more = math.isfinite(found.median) or low in at.solved_at
    bounds = f" [{text(low)}–{text(high)}]" if says_more and not math.isnan(low) else ""
    return text(found.median) + bounds


def protocol_lines(measured: Sequence[Measured]) -> list[str]:
    """Return what must be known of the spans: of each task, what is lacking, misfits, and mixed platforms."""
    protocols = dict.fromkeys(each.protocol for each in measured)
    lines = []
    for its in protocols:
        entrants = [each for each in measured if each.protocol == its]
        lines.append(_protocol(its, entrants))
        sizes = size_remark({each.label: each.spans[0].parameters for each in entrants if each.spans})
        lines += [f"{its.task}: {sizes}."] if sizes else []
    lines += [f"{MARK} {sentence}" for each in measured for sentence in each.lacking]
    sure = misfits([each.confirmed for each in measured])
    for each, misfit, confirmed_misfit in zip(measured, misfits(measured), sure, strict=True):
        if misfit:
            lines.append(misfit)
        if not each.is_confirmed:
            kept, all_of = (sum(at.solved for at in its.spans) for its in (each.confirmed, each))
            told = (
                f"{each.label} on {each.protocol.task}: the test set confirms {kept} of the {all_of} runs "
                f"that solved it; by these alone the span is {each.confirmed.fit}."
            )
            lines.append(f"{told} {confirmed_misfit}".rstrip())
        if each.mixed:
            facts = ", ".join(f"{n} {name}" for name, n in each.mixed.items())
            lines.append(f"{MIXED_MARK} {each.label} on {each.protocol.task}: its runs are of {facts}.")
    return lines


def _protocol(its: Protocol, entrants: Sequence[Measured]) -> str:
    spans = sorted({(at.span, at.dependency) for each in entrants for at in each.spans})
    means = [
        f"{span}: {_range(dependency)} steps" for span, dependency in dict.fromkeys([*spans[:1], *spans[-1:]])
    ]
    back = f" (what has to be kept lies so far back, at {', at '.join(means)})" if means else ""
    most = f"{'at most ' if its.by_staircase else ''}{its.most}"
    looks = "1 evaluation" if its.patience == 1 else f"{its.patience} evaluations in a row"
    ends = f"; runs end after {looks} without a new best one" * bool(its.patience)
    ends += "; runs go on once they have solved the task" * (not its.stop_when_solved)
    fresh = "fresh" if all(each.fresh for each in entrants) else "the same"
    return (
        f"{its.task}: spans are task.{its.key}, from {its.least} to {most}{back}; "
        f"{its.max_steps:,} steps of {its.batch_size} sequences, validated every {its.eval_every}{ends}; "
        f"{fresh} seeds at each span: {_seeds(its)}."
    )


def _seeds(its: Protocol) -> str:
    if its.most_seeds == its.n_seeds:
        return str(its.n_seeds)
    if not its.by_staircase:
        return f"{its.n_seeds} to {its.most_seeds}"
    return (
        f"{its.n_seeds}, {its.most_seeds} where the rate falls if both ends of the interval lie among the "
        "spans tried, more than a factor of two apart"
    )


def _range(dependency: tuple[int, int]) -> str:
    return "–".join(dict.fromkeys(map(str, dependency)))
