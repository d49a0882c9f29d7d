"""`seqbench analyse NAME …`: what happens inside models, before training or in trained runs."""

from __future__ import annotations

import shlex
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from seqbench.cli.arguments import Arguments
from seqbench.config.build import build_task
from seqbench.config.compose import compose
from seqbench.config.explain import explain
from seqbench.config.overrides import parse, readable
from seqbench.config.trust import typed
from seqbench.errors import ConfigError, nearest

if TYPE_CHECKING:
    from torch import Tensor, nn

    from seqbench.analysis.presentation import Presentation
    from seqbench.tasks.base import Task
    from seqbench.tasks.batch import Batch


def main(argv: list[str]) -> int:
    """Run `seqbench analyse` with the arguments after that word; return the exit code.

    Raises:
        SeqbenchError: there is no such analysis, a configuration or run cannot be used, or a file cannot be
            written.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: seqbench analyse NAME [KEY=VALUE …]; `seqbench analyse NAME --help` says more.\n")
        for name, (_, description) in ANALYSES.items():
            print(f"  {name:{max(map(len, ANALYSES))}}  {description}")
    elif argv[0] not in ANALYSES:
        raise ConfigError(
            f"There is no analysis {argv[0]!r}.{nearest(argv[0], ANALYSES)} There are: {', '.join(ANALYSES)}."
        )
    else:
        ANALYSES[argv[0]][0](argv[1:])
    return 0


def gradient_flow(argv: list[str]) -> None:
    """Run `seqbench analyse gradient_flow` with the arguments after these words."""
    parser = _parser(
        "gradient_flow", "How gradients fall with distance from the loss, before training or in trained runs."
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="as in training: model=rnn,lstm task=latch task.length=100 n_seeds=5; 5 seeds by default",
    )
    parser.add_argument(
        "--run", action="append", type=Path, metavar="FOLDER", help="a trained run's folder; may be repeated"
    )
    args = parser.parse_intermixed_args(argv)
    packages = _packages(args.overrides) if args.run else []
    from seqbench.analysis.gradient_flow import GradientFlow, compare

    norms = _norms_of_runs(args.run, packages) if args.run else _norms_at_the_start(args.overrides)
    weights = (
        "Weights: the best of trained runs." if args.run else "Weights: those that each seed starts from."
    )
    _publish(GradientFlow(compare(norms), weights), "gradient_flow", argv, args.out)


def _norms_at_the_start(overrides: list[str]) -> dict[str, list[Tensor]]:
    """Return, for each configuration of a sweep, the gradient norms of each seed before training."""
    import torch

    from seqbench.runs.plan import plan

    norms = {}
    for name, cfg in jobs(["n_seeds=5", *overrides]):
        job = plan(cfg)
        job.task.prepare(job.batch_size)
        with torch.random.fork_rng():
            norms[name] = [_norms(name, job.model(seed), job.task, job.batch_size) for seed in job.seeds]
    return norms


def _packages(overrides: Sequence[str]) -> list[str]:
    """Return the packages that the command line allows for a run; it can set nothing else of a run.

    Raises:
        ConfigError: it does.
    """
    for override in overrides:
        if not override.startswith("allowed_packages="):
            raise ConfigError(f"--run takes its configuration from the run; leave {override} out.")
    return typed(overrides)


def _norms_of_runs(folders: Iterable[Path], packages: Sequence[str]) -> dict[str, list[Tensor]]:
    """Return the gradient norms of trained runs, those of one configuration under its name."""
    from seqbench.runs.trained import load_run

    norms = defaultdict(list)
    for folder in folders:
        name, cfg, task, model = load_run(folder, packages)
        norms[name].append(_norms(name, model, task, cfg.batch_size))
    return dict(norms)


def _norms(name: str, model: nn.Module, task: Task, rows: int) -> Tensor:
    """Return a model's gradient norms on the first validation sequences, the same for all models."""
    from seqbench.analysis.gradient_flow import gradient_norms

    try:
        return gradient_norms(model, task.targets, task.validation().rows(0, rows))
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from error


def memory(argv: list[str]) -> None:
    """Run `seqbench analyse memory` with the arguments after these words."""
    parser = _parser(
        "memory",
        "What a trained model writes into its memory, reads from it or attends to in one test sequence: the "
        "heads of a Neural Turing Machine, the sentences that a memory network looks up, the tokens that a "
        "decoder attends to.",
    )
    parser.add_argument("--run", type=Path, required=True, metavar="FOLDER", help="a trained run's folder")
    parser.add_argument(
        "--length", type=int, metavar="N", help="of the test sequences; by default the run's first"
    )
    parser.add_argument("--row", type=int, default=0, metavar="K", help="of the test set, from 0")
    parser.add_argument(
        "overrides", nargs="*", metavar="allowed_packages=[…]", help="packages of others that the run may use"
    )
    args = parser.parse_intermixed_args(argv)
    from seqbench.analysis.observations import observe
    from seqbench.runs.trained import load_run

    name, cfg, task, model = load_run(args.run, _packages(args.overrides))
    length = task.eval_lengths[0] if args.length is None else args.length
    batch = _test_set(cfg, task, length)
    if not 0 <= args.row < len(batch.inputs):
        raise ConfigError(f"--row={args.row} is not in the test set; give 0 to {len(batch.inputs) - 1}.")
    (seen,) = observe(model, task, batch.rows(args.row, args.row + 1))
    where = f"{cfg.preset.task} / {name}, seed {cfg.seed}: row {args.row} of the test set at length {length}."
    _publish(seen, "memory", argv, args.out, where)


def _test_set(cfg: DictConfig, task: Task, length: int) -> Batch:
    """Return the test set of a length, which need not be one that the run was tested at.

    Raises:
        ConfigError: the task has no sequences of this length.
    """
    try:
        if length not in task.eval_lengths and "eval_lengths" in cfg.task:
            # A task checks the lengths that it is made with.
            tested = OmegaConf.merge(cfg, {"task": {"eval_lengths": [length]}})
            assert isinstance(tested, DictConfig)
            task = build_task(tested)
        return task.test(length)
    except ConfigError as error:
        raise ConfigError(f"--length={length}: {error}") from error


#: Name -> the function that runs the analysis with the arguments after the name, and a description.
ANALYSES: dict[str, tuple[Callable[[list[str]], None], str]] = {
    "gradient_flow": (gradient_flow, "how gradients fall with distance from the loss"),
    "memory": (memory, "what a trained model writes into its memory, reads from it or attends to"),
}


def _parser(name: str, description: str) -> Arguments:
    parser = Arguments(prog=f"seqbench analyse {name}", description=description)
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"write {name}.{{md,csv,svg,png}} here")
    return parser


def _publish(found: Presentation, name: str, argv: Sequence[str], out: Path | None, where: str = "") -> None:
    """Print what was found, and write it as page, numbers and figure where a folder is given."""
    from seqbench.results.pages import write_page
    from seqbench.results.rendering.data import without_formulas
    from seqbench.results.rendering.markdown import escape
    from seqbench.results.rendering.terminal import print_table

    table, note = found.table(), f"{where} {found.note}".strip()
    print_table(table, note, index=False)
    if out is None:
        return
    command = f"seqbench analyse {name} {shlex.join(argv)}"
    page = f"{escape(note)}\n\n![{found.title}]({name}.png)\n\n"
    cells = table.map(lambda cell: escape(str(cell))).rename(columns=escape)
    page += f"{cells.to_markdown(index=False, disable_numparse=True)}\n\nCommand: `{command}`\n"
    numbers = without_formulas(found.numbers()).to_csv(index=False, float_format=f"%.{found.digits}g")
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
        raise explain(error, overrides) from error
    named = [i for i, o in enumerate(parsed) if swept[i] and o.key_or_group != "model"]
    found = []
    for job in product(*choices):
        cfg = compose(job)
        values = ((parsed[i].key_or_group.rpartition(".")[2], job[i].partition("=")[2]) for i in named)
        differs = ", ".join(f"{key}={value}" for key, value in values)
        found.append((f"{cfg.preset.model} ({differs})" if differs else str(cfg.preset.model), cfg))
    return found
