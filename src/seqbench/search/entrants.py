"""What goes on from a search on fresh seeds: files of what is run, and the commands that run it.

    best.txt       the best configurations, for `seqbench -m --jobs`
    entrants.txt   each model as its preset is, and tuned, for `seqbench span --jobs`:
                   label=gru model=gru
                   'label="gru (tuned)"' model=gru 'model.cell.update_bias=${seqbench.keep_bias:2.39}'

What was typed for the search, such as an experiment, is typed again: it is the same for all entrants. A file
begins with the command that does so. A knob that was varied as a share of the span stays a share, so that it
is set anew at each span.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from seqbench.config.build import build_task
from seqbench.config.overrides import parse
from seqbench.search.plan import SearchPlan

BEST_FILE = "best.txt"
ENTRANTS_FILE = "entrants.txt"
#: Seeds of the sweep that is proposed.
FRESH_SEEDS = 5
#: What an entrant of `seqbench span` may set.
GROUPS = {"model", "optim"}


def files(plan: SearchPlan, best: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the files by name; of a search without a `span_command` there is the first alone.

    Args:
        plan: of the search.
        best: model to what is typed for its best configuration; without those of which nothing was found.
    """
    found = {BEST_FILE: [f"# {sweep_command(plan)}"]}
    found[BEST_FILE] += [shlex.join([f"model={model}", *arguments]) for model, arguments in best.items()]
    if (command := span_command(plan)) is not None:
        lines = found[ENTRANTS_FILE] = [f"# {command}"]
        for model in (part.model for part in plan.models):
            lines.append(shlex.join([f"label={model}", f"model={model}"]))
            if model in best:
                lines.append(shlex.join([f'label="{model} (tuned)"', f"model={model}", *best[model]]))
    return {name: "".join(f"{line}\n" for line in lines) for name, lines in found.items()}


def commands(plan: SearchPlan) -> dict[str, str]:
    """Return the commands by what they are for."""
    found = {"At the same lengths": sweep_command(plan)}
    if (spans := span_command(plan)) is not None:
        found["The span of each model, as its preset is and tuned"] = spans
    return found


def sweep_command(plan: SearchPlan) -> str:
    """Return the command that runs the best configurations at the lengths of the search."""
    first = plan.models[0]
    lengths = first.settings.lengths
    at = [] if lengths is None else [f"task.{first.span_key}={','.join(map(str, lengths))}"]
    words = ["seqbench", "-m", *plan.typed, *at, "--jobs", str(plan.folder / BEST_FILE)]
    return shlex.join([*words, "seed=0", f"n_seeds={FRESH_SEEDS}"])


def span_command(plan: SearchPlan) -> str | None:
    """Return the command that measures the span of each entrant.

    None where there is none: the task has no span, or something is varied that is the same for all entrants.
    """
    first = plan.models[0]
    varied = {key.partition(".")[0] for part in plan.models for key in part.space}
    if not varied <= GROUPS or build_task(first.config).span is None:
        return None
    set_by_span = (f"task.{first.span_key}", "task.eval_lengths")
    typed = [
        word
        for word, override in zip(plan.typed, parse(plan.typed), strict=True)
        if override.key_or_group not in set_by_span
    ]
    return shlex.join(["seqbench", "span", *typed, "--jobs", str(plan.folder / ENTRANTS_FILE)])
