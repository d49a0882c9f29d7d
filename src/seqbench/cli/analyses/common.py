"""What the analyses share: which models they look into, and how they hand over what they found."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from omegaconf import DictConfig

from seqbench.cli.arguments import Arguments
from seqbench.cli.plot import SUFFIXES
from seqbench.config.compose import compose
from seqbench.config.explain import explain
from seqbench.config.overrides import parse, readable
from seqbench.config.trust import typed
from seqbench.errors import ConfigError, one_line
from seqbench.runs.store import RESULT_FILE, read_result

if TYPE_CHECKING:
    from torch import nn

    from seqbench.analysis.presentation import Presentation
    from seqbench.tasks.base import Task
    from seqbench.tasks.batch import Batch


class Subject(NamedTuple):
    """A model that is looked into: its name, its configuration, its task prepared for use, and itself."""

    name: str
    cfg: DictConfig
    task: Task
    model: nn.Module


def parser_of(name: str, description: str) -> Arguments:
    """Return a parser with the argument that every analysis has, `--out`."""
    parser = Arguments(prog=f"seqbench analyse {name}", description=description)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"write {name}.{{md,csv,svg,png}} here; a name that ends in {', '.join(SUFFIXES)} gets the "
        "figure alone",
    )
    return parser


def add_subjects(parser: Arguments, example: str) -> None:
    """Add the arguments that say which models are looked into: the keys of runs, or folders of trained ones.

    Args:
        parser: of the analysis.
        example: keys that show how they are typed.
    """
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=f"as in training: {example}")
    parser.add_argument(
        "--run",
        action="append",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="a trained run's folder, or one that holds trained runs; may be repeated",
    )


def subjects(args: Namespace, *defaults: str) -> Iterator[Subject]:
    """Yield the models that arguments name: one for each seed of each configuration, or for each trained run.

    Torch's global generator is left as it was.

    Args:
        args: of a parser that has `add_subjects`.
        defaults: keys that hold unless they are typed.

    Raises:
        SeqbenchError: a configuration or a run cannot be used.
    """
    import torch

    torch.set_num_threads(1)  # as in training: no number depends on the cores
    if args.run:
        yield from _trained(runs_in(args.run), packages_of(args.overrides))
        return
    from seqbench.runs.generators import generators_kept
    from seqbench.runs.plan import plan

    for name, cfg in jobs([*defaults, *args.overrides]):
        job = plan(cfg)
        job.task.prepare(job.batch_size)
        for seed in job.seeds:
            with generators_kept():
                model = job.model(seed)
            yield Subject(name, cfg, job.task, model)


def _trained(folders: Sequence[Path], packages: Sequence[str]) -> Iterator[Subject]:
    """Yield the models of trained runs, by the names that a report gives them.

    Where two configurations would have one name, as at two lengths, they have their hash in it.
    """
    from seqbench.results.labels import label_runs
    from seqbench.runs.trained import load_run

    runs = [load_run(folder, packages) for folder in folders]
    labels = label_runs([result for folder in folders if (result := read_result(folder)) is not None])
    names = [label for _, label in labels]
    unique = len({*names}) == len({run.name for run in runs})
    for name, run in zip(names, runs, strict=True):
        yield Subject(name if unique else run.name, run.cfg, run.task, run.model)


@contextmanager
def looking_into(name: str) -> Iterator[None]:
    """Make a ConfigError of what keeps a model from being looked into; also of what its own code raises."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from error
    except (RuntimeError, TypeError, LookupError) as error:
        raise ConfigError(
            f"{name} cannot be looked into: {type(error).__name__}: {one_line(error)}."
        ) from error


def one_of_each(args: Namespace, *defaults: str) -> Iterator[Subject]:
    """Yield as `subjects` does the first model of each name."""
    seen = set()
    for subject in subjects(args, *defaults):
        if subject.name not in seen:
            seen.add(subject.name)
            yield subject


def seeds_in_words(seeds: Mapping[str, int]) -> str:
    """Return which seed of each name was looked into, as a sentence."""
    if len({*seeds.values()}) == 1:
        return f"Seed: {next(iter(seeds.values()))}."
    return f"Seeds: {', '.join(f'{name} {seed}' for name, seed in seeds.items())}."


def first_rows(subject: Subject, count: int) -> Batch:
    """Return the first sequences of the validation set, which are the same for every model and seed."""
    return subject.task.first_sequences(count)


def runs_in(folders: Iterable[Path]) -> list[Path]:
    """Return the folders of runs that each of these is or holds; one without a run stands for itself."""
    found: dict[Path, Path] = {}  # by what they are, so that a run counts once
    for folder in folders:
        below = [path.parent for path in folder.glob(f"**/seed-*/{RESULT_FILE}")]
        below.sort(key=lambda run: (run.parent, len(run.name), run.name))  # seed-2 before seed-10
        for run in below if below and not (folder / RESULT_FILE).exists() else [folder]:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def packages_of(overrides: Sequence[str]) -> list[str]:
    """Return the packages that the command line allows for a run; it can set nothing else of a run.

    Raises:
        ConfigError: it does.
    """
    for override in overrides:
        if not override.startswith("allowed_packages="):
            raise ConfigError(f"--run takes its configuration from the run; leave {override} out.")
    return typed(overrides)


def publish(found: Presentation, name: str, argv: Sequence[str], out: Path | None, where: str = "") -> None:
    """Print what was found; write it as page, numbers and figure into a folder, or as a figure into a file.

    Raises:
        StoreError: a file cannot be written.
    """
    from seqbench.results.figures import save_as
    from seqbench.results.pages import make_folder, write_page
    from seqbench.results.rendering.data import frame_to_csv
    from seqbench.results.rendering.markdown import escape
    from seqbench.results.rendering.terminal import print_table

    table, note = found.table(), f"{where} {found.note}".strip()
    print_table(table, note, index=False)
    if out is None:
        return
    if out.suffix in SUFFIXES:
        make_folder(out.parent)
        print(save_as(found.draw(), out), file=sys.stderr)
        return
    command = f"seqbench analyse {name} {shlex.join(argv)}"
    page = f"{escape(note)}\n\n![{found.title}]({name}.png)\n\n"
    cells = table.map(lambda cell: escape(str(cell))).rename(columns=escape)
    page += f"{cells.to_markdown(index=False, disable_numparse=True)}\n\nCommand: `{command}`\n"
    numbers = frame_to_csv(found.numbers(), found.digits)
    for path in write_page(out / name, {"md": page, "csv": numbers}, found.draw()):
        print(path, file=sys.stderr)


def jobs(overrides: Sequence[str]) -> list[tuple[str, DictConfig]]:
    """Return every configuration of a sweep, each with a name of its own.

        model=rnn,lstm task.length=50,100      rnn (length=50), rnn (length=100), lstm (length=50), …

    Args:
        overrides: `key=value` and `group=preset`; several values, separated by commas, make a sweep.

    Raises:
        ConfigError: a preset, key or value is wrong.
    """
    from hydra.core.override_parser.types import ValueType
    from hydra.errors import HydraException

    overrides = readable(overrides)
    parsed = parse(overrides)
    swept = [override.is_sweep_override() for override in parsed]
    try:
        choices = [
            [f"{arg.partition('=')[0]}={value}" for value in o.sweep_string_iterator()] if sweeps else [arg]
            for o, arg, sweeps in zip(parsed, overrides, swept, strict=True)
        ]
    except HydraException as error:  # a sweep that cannot be listed, such as interval(0,1)
        if globs := [
            arg
            for o, arg in zip(parsed, overrides, strict=True)
            if o.value_type == ValueType.GLOB_CHOICE_SWEEP
        ]:
            raise ConfigError(
                f"{globs[0]} cannot be listed here; name the presets, separated by commas."
            ) from error
        raise explain(error, overrides) from error
    named = [i for i, o in enumerate(parsed) if swept[i] and o.key_or_group != "model"]
    found = []
    for job in product(*choices):
        cfg = compose(job)
        values = ((parsed[i].key_or_group.rpartition(".")[2], _typed(job[i])) for i in named)
        differs = ", ".join(f"{key}={value}" for key, value in values)
        found.append((f"{cfg.preset.model} ({differs})" if differs else str(cfg.preset.model), cfg))
    return found


def _typed(override: str) -> str:
    """Return the value of an override as one types it: Hydra's grammar writes truth values as Python does."""
    value = override.partition("=")[2]
    return value.lower() if value in ("True", "False") else value
