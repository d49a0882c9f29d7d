"""`seqbench analyse memory`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from seqbench.cli.analyses.common import packages_of, parser_of, publish, runs_in
from seqbench.config.build import build_task
from seqbench.errors import ConfigError
from seqbench.runs.memory import check_sets

if TYPE_CHECKING:
    from seqbench.tasks.base import Task
    from seqbench.tasks.batch import Batch


def main(argv: list[str]) -> None:
    """Run `seqbench analyse memory` with the arguments after these words."""
    parser = parser_of(
        "memory",
        "What a trained model writes into its memory, reads from it or attends to in one test sequence: the "
        "heads of a Neural Turing Machine, the sentences that a memory network looks up, the tokens that a "
        "decoder attends to.",
    )
    parser.add_argument(
        "--run",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="a trained run's folder, or one that holds one trained run",
    )
    parser.add_argument(
        "--length", type=int, metavar="N", help="of the test sequences; by default the run's first"
    )
    parser.add_argument("--row", type=int, default=0, metavar="K", help="of the test set, from 0")
    parser.add_argument(
        "overrides", nargs="*", metavar="allowed_packages=[…]", help="packages of others that the run may use"
    )
    args = parser.parse_intermixed_args(argv)
    import torch

    from seqbench.analysis.observations import observe
    from seqbench.runs.trained import load_run

    torch.set_num_threads(1)  # as in training: no number depends on the cores
    folder, *others = runs_in([args.run])
    if others:
        raise ConfigError(
            f"--run={args.run} holds {len(others) + 1} trained runs; name one of them, such as {folder}."
        )
    name, cfg, task, model = load_run(folder, packages_of(args.overrides))
    length = task.eval_lengths[0] if args.length is None else args.length
    batch = _test_set(cfg, task, length)
    if not 0 <= args.row < len(batch.inputs):
        raise ConfigError(f"--row={args.row} is not in the test set; give 0 to {len(batch.inputs) - 1}.")
    (seen,) = observe(model, task, batch.rows(args.row, args.row + 1))
    where = f"{cfg.preset.task} / {name}, seed {cfg.seed}: row {args.row} of the test set at length {length}."
    publish(seen, "memory", argv, args.out, where)


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
            config: Any = OmegaConf.to_container(tested, resolve=True)
            check_sets(task, config)
        return task.test(length)
    except ConfigError as error:
        raise ConfigError(f"--length={length}: {error}") from error
