"""`seqbench analyse states`."""

from __future__ import annotations

from seqbench.cli.analyses.common import (
    add_subjects,
    looking_into,
    one_of_each,
    parser_of,
    publish,
    seeds_in_words,
)
from seqbench.errors import ConfigError


def main(argv: list[str]) -> None:
    """Run `seqbench analyse states` with the arguments after these words."""
    parser = parser_of("states", "States, and the gates of LSTM and GRU, step by step over one sequence.")
    add_subjects(parser, "model=rnn,lstm task=latch task.length=50; the first seed of each counts")
    parser.add_argument("--row", type=int, default=0, metavar="K", help="of the validation set, from 0")
    args = parser.parse_intermixed_args(argv)
    from seqbench.analysis.unfolded import Unfolded, unfolded

    if args.row < 0:
        raise ConfigError(f"--row={args.row} must be at least 0.")
    found, seeds = {}, {}
    for subject in one_of_each(args):
        batch = subject.task.first_sequences(args.row + 1)
        if args.row >= len(batch.inputs):
            raise ConfigError(
                f"--row={args.row} is not in the validation set; give 0 to {len(batch.inputs) - 1}."
            )
        with looking_into(subject.name):
            found[subject.name] = unfolded(subject.model, batch.rows(args.row, args.row + 1))
        seeds[subject.name] = subject.cfg.seed
    weights = "the best of trained runs" if args.run else "those that training starts from"
    sequence = f"Sequence: row {args.row} of the validation set. Weights: {weights}. {seeds_in_words(seeds)}"
    publish(Unfolded(found, sequence), "states", argv, args.out)
