"""`seqbench plot NAME …`: a figure of runs, and its numbers."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqbench.cli.arguments import Arguments
from seqbench.cli.choice import add_choice, add_models, chosen, groups
from seqbench.errors import ConfigError, StoreError, nearest, say

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from seqbench.results.spans.measured import Measured

#: The formats of figures that --out may name.
SUFFIXES = (".svg", ".png", ".pdf")


def main(argv: list[str]) -> int:
    """Run `seqbench plot` with the arguments after that word; return the exit code.

    Raises:
        SeqbenchError: there is no such plot, or an argument, a run or a file cannot be used.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: seqbench plot NAME [RUNS …]; `seqbench plot NAME --help` says more.\n")
        for name, (_, description) in PLOTS.items():
            print(f"  {name:{max(map(len, PLOTS))}}  {description}")
    elif argv[0] not in PLOTS:
        raise ConfigError(
            f"There is no plot {argv[0]!r}.{nearest(argv[0], PLOTS)} There are: {', '.join(PLOTS)}."
        )
    else:
        PLOTS[argv[0]][0](argv[1:])
    return 0


def curves(argv: list[str]) -> None:
    """Run `seqbench plot curves` with the arguments after these words."""
    parser = _parser("curves")
    parser.add_argument(
        "--metric", metavar="NAME", help="of the validation set, or train_loss; default: the task's own"
    )
    args = _arguments(parser, argv)
    from seqbench.results.curves import curves_of, of_metrics, over_seeds, shown_metrics
    from seqbench.results.progress import draw_curves

    runs = chosen(args)
    metrics = shown_metrics(runs, args.metric)
    found = of_metrics(curves_of(runs, say), metrics)
    medians = over_seeds(found, metrics)
    publish(draw_curves(found, medians, metrics), medians, args.out)


def steps(argv: list[str]) -> None:
    """Run `seqbench plot steps` with the arguments after these words."""
    args = _arguments(_parser("steps"), argv)
    from seqbench.results.frame import compare
    from seqbench.results.progress import counted_rows, draw_steps, solved_shares
    from seqbench.results.summaries.steps_to_solve import StepsToSolve

    frame = compare([run.result for run in chosen(args)], [StepsToSolve()]).frame
    if not frame["seeds"].any():
        raise StoreError("no run here has ended without failing.")
    if not counted_rows(frame):
        raise StoreError("no task here says when it is solved; task.solved_at says so of data of your own.")
    publish(draw_steps(frame), solved_shares(frame), args.out)


def span(argv: list[str]) -> None:
    """Run `seqbench plot span` with the arguments after these words."""
    from seqbench.results.spans.figure import draw_spans

    _spans("span", draw_spans, argv)


def forest(argv: list[str]) -> None:
    """Run `seqbench plot forest` with the arguments after these words."""
    from seqbench.results.spans.forest import draw_forest

    _spans("forest", draw_forest, argv)


def _spans(name: str, draw: Callable[[Sequence[Measured]], Figure], argv: list[str]) -> None:
    """Draw measured spans."""
    parser = _parser(name)
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="a package of others whose tasks and models may be built, to know their spans; may be repeated",
    )
    args = _arguments(parser, argv)
    import pandas as pd

    from seqbench.config.trust import allow
    from seqbench.results.spans.formats import numbers
    from seqbench.results.spans.tables import protocol_lines
    from seqbench.span.cost import Costs, Uncounted
    from seqbench.span.records import from_results

    allow(args.allow)
    costs = Uncounted() if args.out.suffix in SUFFIXES else Costs()  # they are among the numbers alone
    measured = from_results((run.result for run in chosen(args)), costs, warn=say)
    if not measured:
        raise StoreError("no run here has ended without failing.")
    publish(draw(measured), pd.DataFrame(numbers(measured)), args.out)
    for line in protocol_lines(measured):
        say(line)


def metric(argv: list[str]) -> None:
    """Run `seqbench plot metric` with the arguments after these words."""
    parser = _parser("metric")
    parser.add_argument(
        "--x",
        required=True,
        metavar="NUMBER",
        help="of the runs: state_size, parameters, …, or a key of their configuration, model.hidden_size",
    )
    parser.add_argument("--metric", metavar="NAME", help="of the test; default: the task's own")
    args = _arguments(parser, argv)
    from seqbench.results.against import against, draw_against
    from seqbench.results.frame import with_metric

    results = [run.result for run in chosen(args)]
    points = against(with_metric(results, args.metric) if args.metric else results, args.x, say)
    publish(draw_against(points, args.x), points, args.out)
    if diverged := sum(result.status == "diverged" for result in results):
        say(f"{diverged} of {len(results)} runs diverged, and have no value: the figure is of the others.")


def compare(argv: list[str]) -> None:
    """Run `seqbench plot compare` with the arguments after these words."""
    parser = _parser("compare")
    add_models(parser)
    args = _arguments(parser, argv)
    import pandas as pd

    from seqbench.results.comparing.comparison import compare_models
    from seqbench.results.comparing.figure import draw
    from seqbench.results.comparing.text import rows

    comparison = compare_models([run.result for run in chosen(args)], *groups(args), of=["solved"])
    publish(draw(comparison), pd.DataFrame(rows(comparison)), args.out)
    for line in (comparison.told, *comparison.remarks):
        say(line)


#: Name -> what runs it, with the arguments after the name, and what the figure shows.
PLOTS: dict[str, tuple[Callable[[list[str]], None], str]] = {
    "curves": (curves, "learning curves: every seed, and their median with a band"),
    "steps": (steps, "how many runs have solved their task after how many steps, by Kaplan and Meier"),
    "span": (span, "how many runs solve their task at which span, and the curve through it"),
    "forest": (forest, "the span at which half of the runs solve their task, with its interval"),
    "metric": (metric, "the test metric against a number of the runs, such as the size of their state"),
    "compare": (compare, "differences of solve rates with their intervals, and ranks over tasks"),
}


def _parser(name: str) -> Arguments:
    parser = Arguments(
        prog=f"seqbench plot {name}", description=f"{PLOTS[name][1][0].upper()}{PLOTS[name][1][1:]}."
    )
    add_choice(parser)
    parser.add_argument(
        "--out",
        default=name,
        metavar="FILE",
        help=f"a figure, {', '.join(SUFFIXES)}; without such an ending .svg, .png and the numbers as .csv; "
        f"default: {name}",
    )
    return parser


def _arguments(parser: Arguments, argv: list[str]) -> Namespace:
    """Read the arguments of a plot.

    Raises:
        ConfigError: they cannot be read, or `--out` names no file, or another format.
    """
    args = parser.parse_intermixed_args(argv)
    is_folder = args.out.endswith("/")
    args.out = Path(args.out)
    if is_folder or args.out.name in ("", ".."):
        example = args.out / parser.get_default("out")
        raise ConfigError(f"--out={args.out} must name a file, such as --out={example}.")
    if args.out.suffix not in ("", *SUFFIXES):
        raise ConfigError(f"--out={args.out} must end in {', '.join(SUFFIXES)}, or have no ending.")
    return args


def publish(figure: Figure, numbers: pd.DataFrame, out: Path) -> None:
    """Write a figure where `--out` says, and its numbers beside it unless one format was asked for.

    Raises:
        StoreError: a file cannot be written.
    """
    from seqbench.results.figures import save_as
    from seqbench.results.pages import make_folder, write_page
    from seqbench.results.rendering.data import frame_to_csv

    if out.suffix in SUFFIXES:
        make_folder(out.parent)
        paths = [save_as(figure, out)]
    else:
        paths = write_page(out, {"csv": frame_to_csv(numbers)}, figure)
    for path in paths:
        print(path)
