"""`seqbench analyse memory`: what a trained model does with its memory in one sequence of a test set."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqbench.analysis.command import trained
from seqbench.analysis.memory import Observation, observe
from seqbench.config.build import build_model, build_task
from seqbench.errors import ConfigError, StoreError
from seqbench.results.figures import save
from seqbench.runs.store import write_atomically
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch


def main(argv: list[str]) -> int:
    """Run `seqbench analyse memory` with the arguments after these words; return the exit code.

    Raises:
        SeqbenchError: the run cannot be used or has no memory, or a file cannot be written.
    """
    args = _parser().parse_args(argv)
    cfg, task, weights = trained(args.run)
    length = task.eval_lengths[0] if args.length is None else args.length
    batch = _test_set(cfg, task, length)
    if not 0 <= args.row < len(batch.inputs):
        raise ConfigError(f"--row={args.row} is not in the test set; give 0 to {len(batch.inputs) - 1}.")
    name = args.run.resolve().parent.name
    model = build_model(cfg, task)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(f"{name}: {str(error).splitlines()[0]}") from error
    (seen,) = observe(model, task, batch.rows(args.row, args.row + 1))
    where = f"{cfg.preset.task} / {name}, seed {cfg.seed}: row {args.row} of the test set at length {length}."
    _print(seen, where)
    if args.out:
        command = f"seqbench analyse memory {shlex.join(argv)}"
        for path in _write(seen, where, command, args.out):
            print(path, file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqbench analyse memory",
        description="What a trained model reads from its memory, and writes into it, in one test sequence: "
        "the heads of a Neural Turing Machine, the sentences that a memory network looks up, or the tokens "
        "that a decoder attends to.",
    )
    parser.add_argument("--run", type=Path, required=True, metavar="FOLDER", help="a trained run's folder")
    parser.add_argument(
        "--length", type=int, metavar="N", help="of the test sequences; the first of task.eval_lengths"
    )
    parser.add_argument("--row", type=int, default=0, metavar="K", help="of the test set, from 0")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write memory.{md,csv,png,svg} here")
    return parser


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


def _print(seen: Observation, where: str) -> None:
    console = Console()
    table = seen.table()
    if not console.is_terminal:  # a pipe or a file has no width of its own
        console.width = max(console.width, 110)
    shown = Table(box=box.HORIZONTALS, padding=(0, 2, 0, 0), pad_edge=False)
    for name in table.columns:
        shown.add_column(Text(name))
    for cells in table.itertuples(index=False):
        shown.add_row(*map(Text, cells))
    console.print(shown)
    console.print(Text(f"{where} {seen.note}", style="dim"))


def _write(seen: Observation, where: str, command: str, out: Path) -> list[Path]:
    """Write table, weights and figure to a folder; return the paths."""
    paths = {suffix: out / f"memory.{suffix}" for suffix in ("md", "csv")}
    table = seen.table().to_markdown(index=False, disable_numparse=True)
    text = f"{where} {seen.note}\n\n![What is read and written](memory.png)\n"
    text += f"\n{table}\n\nCommand: `{command}`\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(paths["md"], text)
        write_atomically(paths["csv"], seen.weights().to_csv(index=False, float_format="%.4g"))
    except OSError as error:
        raise StoreError(f"cannot write in {out}: {error.strerror}.") from error
    return [*paths.values(), *save(seen.draw(), out / "memory")]
