"""`seqbench analyse gradient_flow`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from seqbench.cli.analyses.common import add_subjects, first_rows, looking_into, parser_of, publish, subjects

if TYPE_CHECKING:
    from torch import Tensor


def main(argv: list[str]) -> None:
    """Run `seqbench analyse gradient_flow` with the arguments after these words."""
    parser = parser_of(
        "gradient_flow", "How gradients fall with distance from the loss, before training or in trained runs."
    )
    add_subjects(parser, "model=rnn,lstm task=latch task.length=100 n_seeds=5; 5 seeds by default")
    args = parser.parse_intermixed_args(argv)
    found = subjects(args, "n_seeds=5")
    from seqbench.analysis.gradient_flow import GradientFlow, compare, gradient_norms

    norms: dict[str, list[Tensor]] = defaultdict(list)
    for subject in found:
        batch = first_rows(subject, subject.cfg.batch_size)
        with looking_into(subject.name):
            norms[subject.name].append(gradient_norms(subject.model, subject.task.targets, batch))
    weights = (
        "Weights: the best of trained runs." if args.run else "Weights: those that each seed starts from."
    )
    publish(GradientFlow(compare(norms), weights), "gradient_flow", argv, args.out)
