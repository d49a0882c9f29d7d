"""`seqbench span`: the longest span that each model learns, as a table and a figure."""

from __future__ import annotations

import shlex
import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path

from seqbench.cli.arguments import Arguments
from seqbench.errors import ConfigError, reader_may_leave

DESCRIPTION = """\
Find the longest span that each model learns within a budget of steps. Spans double until eight runs in a row
solve nothing; then half-octaves are tried where the rate falls. A curve through the solve rates gives the
span that half of the runs solve, with its 95 % interval. All runs are ordinary ones: the same command goes on
where it was stopped, and reads what is done.

  seqbench span task=temporal_order model=rnn,leaky_rnn,gru,lstm
  seqbench span task=latch,adding model=gru n_seeds=10 trainer.max_steps=1000 max=200
  seqbench span task=latch --jobs entrants.txt         # a line each: label=tuned model=gru optim.lr=0.02
"""
KEYS = """\
keys of its own, beside those of a run:
  n_seeds=5       runs at each span; each starts from fresh weights and data
  most_seeds=10   where the rate falls, if both ends of the interval lie among the spans
                  tried, more than a factor of two apart; an open interval gets no more;
                  as many as n_seeds where that is typed
  least=10        the least span; else 10, or the task's least
  max=400         the largest that may be tried
  hydra.launcher.n_jobs=2
                  processes
"""


def main(argv: list[str]) -> int:
    """Run `seqbench span` with the arguments after that word; return the exit code.

    Raises:
        SeqbenchError: it cannot be run.
    """
    parser = Arguments(
        "seqbench span", description=DESCRIPTION, epilog=KEYS, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("keys", nargs="*", metavar="KEY=VALUE", help="those of a run, and those below")
    parser.add_argument(
        "--jobs", metavar="FILE", help="entrants in place of model=, a line each with its model"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what it could run, and what that takes"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write md, csv, tex, json and figures here")
    parser.add_argument("--name", default="span", help="name of the files; default: span")
    args = parser.parse_intermixed_args(argv)
    if Path(args.name).name != args.name or args.name in ("", "..") or "\0" in args.name:
        raise ConfigError(f"--name={args.name} must be the name of a file alone; --out names its folder.")

    from seqbench.span.climb import check, cost_lines, measure
    from seqbench.span.plan import plan

    spans = plan(args.keys, args.jobs)
    if args.dry_run:
        if (seconds := check(spans, timed=True)) is None:
            return ConfigError.exit_code
        print("\n".join(cost_lines(spans, seconds)))
        return 0
    if (ended := measure(spans)) is None:
        return ConfigError.exit_code
    courses, code = ended

    from seqbench.runs.asked import tell
    from seqbench.runs.store import run_folder
    from seqbench.span.found import Found, show, write

    runs_dir = spans.folder.parents[1]
    for its in (result for course in courses for runs in course.results.values() for result in runs):
        tell(runs_dir / run_folder(its.task, its.model, its.hash) / f"seed-{its.seed}")
    found = Found.of(courses, spans, shlex.join(["seqbench", "span", *argv]))
    paths = write(found, spans.folder / "span")
    if args.out is not None:
        paths = write(found, args.out / args.name)
    with reader_may_leave():
        show(found)
    for path in paths:
        print(path, file=sys.stderr)
    return code
