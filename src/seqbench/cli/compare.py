"""`seqbench compare`: is one model better than another?"""

from __future__ import annotations

import sys

from seqbench.cli.arguments import Arguments
from seqbench.cli.choice import add_choice, add_models, chosen, groups
from seqbench.results.comparing.comparison import ModelComparison, compare_models
from seqbench.results.comparing.contrasts import QUANTITIES
from seqbench.results.comparing.text import overall_rows, rows, sentences, text_rows, to_markdown
from seqbench.results.frame import with_metric
from seqbench.results.rendering.rows import print_rows, rows_to_csv, rows_to_json


def main(argv: list[str]) -> int:
    """Run `seqbench compare` with the arguments after that word; return the exit code.

    Raises:
        ConfigError: there are fewer than two models, or a name or filter cannot be used.
        StoreError: there are no such runs, or they cannot be compared.
    """
    args = _parser().parse_intermixed_args(argv)
    results = [run.result for run in chosen(args)]
    if args.metric:
        results = with_metric(results, args.metric)
    comparison = compare_models(results, *groups(args), of=args.of or QUANTITIES)
    if args.format == "table":
        _print(comparison)
    elif args.format == "md":
        print(to_markdown(comparison), end="")
    else:
        write = rows_to_csv if args.format == "csv" else rows_to_json
        print(write(rows(comparison)), end="")
        print("\n".join(sentences(comparison)), file=sys.stderr)
    return 0


def _print(comparison: ModelComparison) -> None:
    print_rows(text_rows(comparison))
    if over_tasks := overall_rows(comparison):
        print()
        print_rows(over_tasks)
    print()
    print_rows([], "\n".join(sentences(comparison)))


def _parser() -> Arguments:
    parser = Arguments(prog="seqbench compare", description="Is one model better than another?")
    add_choice(parser)
    add_models(parser)
    parser.add_argument(
        "--of",
        action="append",
        choices=QUANTITIES,
        help="compare this alone, which leaves more of each p-value; may be repeated; default: all three",
    )
    parser.add_argument("--metric", metavar="NAME", help="compare this test metric, not the task's own")
    formats = ["table", "md", "csv", "json"]
    parser.add_argument("--format", choices=formats, default="table", help="what to print; default: table")
    return parser
