"""`seqbench show`: what a task or a model is, with the settings that are typed."""

from __future__ import annotations

import re
from argparse import RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig, OmegaConf

from seqbench.cli.arguments import Arguments
from seqbench.config.build import ModelFactory, build_task
from seqbench.config.compose import compose, fitted
from seqbench.config.overrides import parse, readable
from seqbench.config.presets import commands, default_task, describe, noted
from seqbench.config.trust import allowed_packages
from seqbench.errors import ConfigError, DataError, printable, reader_may_leave

if TYPE_CHECKING:
    from seqbench.models.model import Model
    from seqbench.tasks.base import Task
    from seqbench.tasks.batch import Batch

DESCRIPTION = """\
What a task is, with an example, its measures and what solves it; what a model is, with its equations and
sizes. Keys set what they set in a run.

  seqbench show task=latch model=lstm
  seqbench show task=copy_memory task.length=20 --sample 3
  seqbench show model=clockwork_rnn model.hidden_size=32
"""
#: What a preset of a task may say of it in its comments.
SAID = ("Data", "Solved")
#: The width of what a fact is about.
ABOUT = 12
#: The columns that a drawing takes at the least: a narrower terminal breaks its lines.
LEAST_WIDTH = 40
#: Columns before a docstring.
INDENT = "  "


def main(argv: list[str]) -> int:
    """Run `seqbench show` with the arguments after that word; return the exit code.

    Raises:
        ConfigError: neither a task nor a model is named, or the configuration cannot be used.
        DataError: the task reads data that are missing. What is known without them is printed before.
    """
    parser = Arguments("seqbench show", description=DESCRIPTION, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("keys", nargs="*", metavar="KEY=VALUE", help="those of a run")
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="examples; default: 1")
    args = parser.parse_intermixed_args(argv)
    if args.sample < 0:
        raise ConfigError(f"--sample={args.sample} is no number of examples.")
    groups = _groups(args.keys)
    cfg = _composed(args.keys, groups)
    task = build_task(cfg)
    known = rows = model = lacking = None
    try:  # what is refused is refused before the first line
        model = _untrained(cfg, task) if "model" in groups else None
        if "task" in groups:
            known, rows = _looked_up(task, cfg, args.sample)
    except DataError as error:
        lacking = error
    with reader_may_leave():
        if "task" in groups:
            _print_task(task, cfg, known, rows)
        if model is not None:
            print(end="\n" * ("task" in groups))
            _print_model(model, task, cfg)
    if lacking is not None:
        raise lacking
    return 0


def _groups(keys: Sequence[str]) -> set[str]:
    """Return which of task and model the arguments name: by a preset, by a key, or by an experiment."""
    parsed = parse(readable(keys))
    for override in parsed:
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: `seqbench show` shows one of them at a time.")
    named = {re.split(r"[./]", str(override.key_or_group))[0] for override in parsed}
    groups = {"task", "model"} if "experiment" in named else named & {"task", "model"}
    if not groups:
        raise ConfigError("Name a task, a model or both: `seqbench show task=latch model=lstm`.")
    return groups


def _composed(keys: Sequence[str], groups: set[str]) -> DictConfig:
    """Return the configuration; a model that is shown alone is shown at a task that it takes."""
    cfg = compose(keys)
    if "task" in groups:
        return cfg
    fitting = default_task(cfg.preset.model, allowed_packages(cfg))
    return compose([f"task={fitting}", *keys]) if fitting not in (None, cfg.preset.task) else cfg


def _looked_up(task: Task, cfg: DictConfig, samples: int) -> tuple[dict[str, str], Batch | None]:
    """Return the facts of a task, and the first sequences of its validation set; None of none."""
    from seqbench.analysis.overview.task import facts
    from seqbench.runs.memory import check_sets

    if not samples:
        return facts(task), None
    check_sets(task, _resolved(cfg))
    rows = task.first_sequences(samples)
    if len(rows.inputs) < samples:
        raise ConfigError(f"--sample={samples} is more than the {len(rows.inputs)} validation sequences.")
    return facts(task), rows


def _untrained(cfg: DictConfig, task: Task) -> Model:
    """Return the model of a configuration, with weights as those of its first seed."""

    from seqbench.runs.generators import generators_kept, initial_model
    from seqbench.runs.memory import seeds_at_once

    make_model = ModelFactory(cfg, task)
    seeds_at_once(make_model.sized(), task, _resolved(cfg))  # or there is not enough memory
    with generators_kept():
        return initial_model(make_model, cfg.seed)


def _resolved(cfg: DictConfig) -> dict[str, Any]:
    return cast("dict[str, Any]", OmegaConf.to_container(fitted(cfg), resolve=True))


def _print_task(task: Task, cfg: DictConfig, known: dict[str, str] | None, rows: Batch | None) -> None:
    """Print what a task is; where its data are missing, and nothing is `known`, what it is without them."""
    from seqbench.analysis.overview.example import example

    name = str(cfg.preset.task)
    told = {word.lower(): noted("task", name, word) for word in SAID}
    known = known or {"variant": task.variant, "solved": task.solved_when or ""}
    if told["solved"]:
        known["solved"] = f"{known['solved']}: {told['solved']}"
    width = _heading(f"{name}: {describe('task', name)}")
    _print_docstring(type(task), width)
    _print_facts(known | {"data": told["data"]}, commands("task", name))
    for i, row in enumerate(rows.split(1) if rows is not None else ()):
        steps = row.inputs.shape[1] if row.lengths is None else int(row.lengths[0])
        _print_lines(["", f"Validation sequence {i}, {steps} steps:", *example(task, row, width)])


def _print_model(model: Model, task: Task, cfg: DictConfig) -> None:
    """Print what a model is at a task."""
    from seqbench.analysis.overview.model import facts, parts
    from seqbench.results.rendering.rows import print_rows

    name = str(cfg.preset.model)
    width = _heading(f"{name}: {describe('model', name)}")
    for of in model.explained_by():
        _print_docstring(of, width)
    print_rows(list(parts(model)), right=("live",), below="sizes")
    print()
    at = f"{cfg.preset.task}, where it reads {task.inputs.in_words} and puts out {task.targets.in_words}"
    _print_facts(facts(model) | {"at the task": at}, commands("model", name))


def _heading(text: str) -> int:
    """Print a heading; return the columns there are."""
    from seqbench.results.rendering.rows import safe_text, standard_output

    console = standard_output()
    console.print(safe_text(text, style="bold"), soft_wrap=not console.is_terminal)
    print()
    return max(console.width, LEAST_WIDTH)


def _print_docstring(of: type, width: int) -> None:
    from seqbench.analysis.overview.docstrings import docstring

    if text := docstring(of, width - len(INDENT)):
        _print_lines([*(f"{INDENT}{line}".rstrip() for line in text.split("\n")), ""])


def _print_lines(lines: Sequence[str]) -> None:
    """Print lines that are as long as they must be."""
    print("\n".join(map(printable, lines)))


def _print_facts(facts: Mapping[str, str], to_try: Sequence[str]) -> None:
    """Print facts by what they are about, and commands that a reader may try."""
    from seqbench.results.rendering.rows import print_entries

    lines = [(about, text) for about, text in facts.items() if text]
    lines += [("" if i else "to try", command) for i, command in enumerate(to_try)]
    print_entries((f"{about:<{ABOUT}}", text) for about, text in lines)
