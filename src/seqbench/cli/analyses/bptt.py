"""`seqbench analyse bptt`."""

from __future__ import annotations

from seqbench.cli.analyses.common import (
    add_subjects,
    first_rows,
    looking_into,
    one_of_each,
    parser_of,
    publish,
)
from seqbench.errors import ConfigError


def main(argv: list[str]) -> None:
    """Run `seqbench analyse bptt` with the arguments after these words."""
    parser = parser_of(
        "bptt",
        "The gradients of an RNN by the chapter's equations, [12] to [23], and by automatic differentiation.",
    )
    add_subjects(parser, "model=rnn task=copy_memory task.length=10; the first seed and sequences count")
    args = parser.parse_intermixed_args(argv)
    subject, *others = one_of_each(args, "model=rnn", "task=copy_memory")
    if others:
        raise ConfigError(
            f"bptt looks into one model; choose among {', '.join(each.name for each in (subject, *others))}."
        )
    from seqbench.analysis.by_hand import compare

    batch = first_rows(subject, subject.cfg.batch_size)
    with looking_into(subject.name):
        found = compare(subject.model, subject.task.targets, batch)
    publish(found, "bptt", argv, args.out, f"{subject.name}, seed {subject.cfg.seed}.")
