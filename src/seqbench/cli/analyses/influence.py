"""`seqbench analyse influence`."""

from __future__ import annotations

from seqbench.cli.analyses.common import (
    add_subjects,
    first_rows,
    looking_into,
    one_of_each,
    parser_of,
    publish,
    seeds_in_words,
)

#: Sequences that the mean is over, at most.
ROWS = 16


def main(argv: list[str]) -> None:
    """Run `seqbench analyse influence` with the arguments after these words."""
    parser = parser_of("influence", "How the output of each step depends on the input of each step.")
    add_subjects(parser, "model=rnn,lstm task=copy_memory task.length=10; the first seed of each counts")
    args = parser.parse_intermixed_args(argv)
    from seqbench.analysis.influence import Influences, influence

    found, seeds = {}, {}
    for subject in one_of_each(args):
        with looking_into(subject.name):
            found[subject.name] = influence(subject.model, first_rows(subject, ROWS))
        seeds[subject.name] = subject.cfg.seed
    weights = (
        "Weights: the best of trained runs." if args.run else "Weights: those that training starts from."
    )
    publish(Influences(found, f"{weights} {seeds_in_words(seeds)}"), "influence", argv, args.out)
