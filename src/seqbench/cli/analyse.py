"""`seqbench analyse NAME …`: what happens inside models, before training or in trained runs."""

from __future__ import annotations

from collections.abc import Callable

from seqbench.cli.analyses import bptt, gradient_flow, influence, memory, states
from seqbench.errors import ConfigError, nearest

#: Name -> the function that runs the analysis with the arguments after the name, and a description.
ANALYSES: dict[str, tuple[Callable[[list[str]], None], str]] = {
    "gradient_flow": (gradient_flow.main, "how gradients fall with distance from the loss"),
    "bptt": (bptt.main, "back-propagation through time by the chapter's equations, beside autograd"),
    "influence": (influence.main, "which inputs an output depends on, and how much"),
    "states": (states.main, "states and gates over one sequence"),
    "memory": (memory.main, "what a trained model writes into its memory, reads from it or attends to"),
}


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
