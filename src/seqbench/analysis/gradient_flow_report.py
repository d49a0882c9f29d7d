"""`seqbench analyse gradient_flow`: a table, a figure, and the numbers behind them."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from seqbench.analysis.command import jobs, trained
from seqbench.analysis.gradient_flow import at_initialisation, compare, decay, of_weights
from seqbench.config.build import build_task, check_counts
from seqbench.errors import ConfigError, StoreError
from seqbench.results.figures import COLOURS, MARKERS, STYLE, save
from seqbench.results.numbers import number
from seqbench.runs.store import write_atomically

LEGEND = (
    "‖∂L/∂s(τ−d)‖: the gradient of the loss at step τ, the last that counts, with respect to the whole state "
    "d steps before; mean over sequences, geometric mean over seeds; half and full are of the longest "
    "distance, τ−1. Per step: slope of the line through log10 of the norm at all distances, and the factor "
    "that makes. "
)
#: What the band of a figure and the bounds in CSV are.
BAND = "Band: 95 % t-interval of the mean over seeds of log10 of the norm."
AT_START = "Weights as they are drawn, one draw for each seed: those that its training starts from."
TRAINED = "The best weights of trained runs."


def main(argv: list[str]) -> int:
    """Run `seqbench analyse gradient_flow` with the arguments after these words; return the exit code.

    Raises:
        SeqbenchError: a configuration or run cannot be used, or a file not be written.
    """
    args = _parser().parse_intermixed_args(argv)
    if args.run and args.overrides:
        raise ConfigError(f"--run takes its configuration from the run; leave {args.overrides[0]} out.")
    norms = _of_runs(args.run) if args.run else _of_jobs(args.overrides)
    flow = compare(norms)
    table, legend = tabulate(flow), LEGEND + (TRAINED if args.run else AT_START)
    _print(table, legend)
    if args.out:
        command = f"seqbench analyse gradient_flow {shlex.join(argv)}"
        for path in _write(flow, table, f"{legend} {BAND}", command, args.out):
            print(path, file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqbench analyse gradient_flow",
        description="How gradients fall with distance from the loss, before training or as runs left it.",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="as in training: model=rnn,lstm task=latch task.length=100 n_seeds=5; 5 seeds unless told",
    )
    parser.add_argument(
        "--run", action="append", type=Path, metavar="FOLDER", help="a trained run's folder; may be repeated"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write gradient_flow.{md,csv,png,svg} here")
    return parser


def _of_jobs(overrides: list[str]) -> dict[str, list[Tensor]]:
    """Return, for each configuration of a sweep, the gradient norms of each seed before training."""
    norms = {}
    for name, cfg in jobs(["n_seeds=5", *overrides]):
        check_counts(cfg)
        task = build_task(cfg)
        task.prepare(cfg.batch_size)
        try:
            norms[name] = at_initialisation(cfg, task, range(cfg.seed, cfg.seed + cfg.n_seeds))
        except ValueError as error:
            raise ConfigError(f"{name}: {error}") from error
    return norms


def _of_runs(folders: Iterable[Path]) -> dict[str, list[Tensor]]:
    """Return the gradient norms of trained runs, those of one configuration under its name."""
    norms = defaultdict(list)
    for folder in folders:
        cfg, task, weights = trained(folder)
        name = folder.resolve().parent.name
        try:
            norms[name].append(of_weights(cfg, task, weights))
        except (ValueError, RuntimeError) as error:
            raise ConfigError(f"{name}: {str(error).splitlines()[0]}") from error
    return dict(norms)


def tabulate(flow: pd.DataFrame) -> pd.DataFrame:
    """Return what the table shows of `gradient_flow.compare`: a row for each model, text in every cell."""
    rows = {}
    for model, its in flow.groupby("model", sort=False):
        norms = 10 ** its.set_index("distance")["mean"]
        last = len(norms) - 1
        shown = {"0": 0, "1": 1, "10": 10, "half": last // 2, "full": last}
        slope = decay(its)
        rows[model] = {"steps": str(last + 1), "seeds": str(its["seeds"].iloc[0])}
        rows[model] |= {head: number(norms[d]) if d <= last else "–" for head, d in shown.items()}
        rows[model]["log10 per step"] = f"{slope:+.3f} (×{10**slope:.3f})"
    return pd.DataFrame.from_dict(rows, orient="index")


def _print(table: pd.DataFrame, legend: str) -> None:
    console = Console()
    if not console.is_terminal:  # a pipe or a file has no width of its own
        console.width = max(console.width, 110)
    shown = Table(box=box.HORIZONTALS, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("", *table.columns):
        shown.add_column(Text(name))
    for cells in table.itertuples():
        shown.add_row(*map(Text, cells))
    console.print(shown)
    console.print(Text(legend, style="dim"))


def draw(flow: pd.DataFrame) -> Figure:
    """Return the figure of `gradient_flow.compare`: the norm, on a logarithmic axis, against the distance."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.6), layout="constrained")
        panel = figure.subplots()
        for i, (model, its) in enumerate(flow.groupby("model", sort=False)):
            colour, x = COLOURS[i % len(COLOURS)], its["distance"].to_numpy(float)
            mean, low, high = (10 ** its[name].to_numpy(float) for name in ("mean", "low", "high"))
            panel.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
            panel.plot(
                x,
                mean,
                color=colour,
                marker=MARKERS[i % len(MARKERS)],
                markevery=max(1, len(x) // 8),
                linestyle="-" if i < len(COLOURS) else ":",
                markeredgecolor="white",
                markeredgewidth=0.6,
                label=str(model),
            )
        panel.set_yscale("log")
        panel.set_xlabel("distance d from the loss, in steps")
        panel.set_ylabel("‖∂L/∂s(τ−d)‖")
        panel.legend()
    return figure


def _write(flow: pd.DataFrame, table: pd.DataFrame, legend: str, command: str, out: Path) -> list[Path]:
    """Write table, numbers and figure to a folder; return the paths."""
    paths = {suffix: out / f"gradient_flow.{suffix}" for suffix in ("md", "csv")}
    text = f"{table.to_markdown(disable_numparse=True)}\n\n{legend}\n"
    text += f"\n![Gradient norm against distance](gradient_flow.png)\n\nCommand: `{command}`\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(paths["md"], text)
        columns = {name: f"log10_norm_{name}" for name in ("mean", "low", "high")}
        write_atomically(paths["csv"], flow.rename(columns=columns).to_csv(index=False))
    except OSError as error:
        raise StoreError(f"cannot write in {out}: {error.strerror}.") from error
    return [*paths.values(), *save(draw(flow), out / "gradient_flow")]
