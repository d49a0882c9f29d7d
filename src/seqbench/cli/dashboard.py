"""`seqbench dashboard`: a workspace of Weights & Biases' for the runs that are chosen."""

from __future__ import annotations

import os
import shlex
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from seqbench.cli.arguments import Arguments
from seqbench.cli.choice import add_choice, chosen
from seqbench.cli.sharing import logged
from seqbench.dashboards.account import logged_in
from seqbench.errors import ConfigError, StoreError, say
from seqbench.runs.files import read, write_atomically
from seqbench.runs.result import Result
from seqbench.runs.selection import parse


def main(argv: list[str]) -> int:
    """Run `seqbench dashboard` with the arguments after that word; return the exit code.

    Raises:
        ConfigError: an argument cannot be used, the package wandb-workspaces is missing, or W&B refuses.
        StoreError: there are no such runs, or a file cannot be read or written.
    """
    args = _parser().parse_intermixed_args(argv)
    if args.upload is not None:
        _check_upload(args)
    results = [] if args.upload else [run.result for run in chosen(args)]
    try:
        from seqbench.dashboards.workspace import from_json, save, to_json, workspace
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "wandb_workspaces":
            raise
        raise ConfigError(
            "seqbench dashboard needs the package wandb-workspaces: pip install wandb-workspaces."
        ) from error
    if args.upload:
        found = from_json(_text(args.upload), str(args.upload))
    else:
        project = args.project or _project(results)
        found = workspace(results, project, args.name or "seqbench", map(parse, args.where))
    if args.out is None and logged_in():
        print(save(found, args.entity or _entity(results), args.project))
        return 0
    if args.upload:
        raise ConfigError("nobody is logged in to W&B; run `wandb login` first, and give the same command.")
    path = args.out or Path("dashboard.json")
    write_atomically(path, to_json(found))
    print(path)
    upload = f"`seqbench dashboard --upload {shlex.quote(str(path))}`"
    if args.out is None:
        say(
            "nobody is logged in to W&B, so that the workspace is in this file. Run `wandb login`, and then "
            f"{upload}."
        )
    else:
        say(f"{upload} saves it in W&B.")
    return 0


def _check_upload(args: Namespace) -> None:
    """Raise a ConfigError for what has no effect beside a workspace that was written."""
    given = {"--task": args.task, "--model": args.model, "--where": args.where, "--name": args.name}
    given |= {"--out": args.out, "RUNS": args.places if args.places != ["runs"] else None}
    for option, value in given.items():
        if value:
            what = value[0] if isinstance(value, list) else value
            raise ConfigError(
                f"--upload={args.upload} is a workspace that was written; leave {what} ({option}) out."
            )


def _project(results: Sequence[Result]) -> str:
    """Return the project of W&B's in which runs are logged, as their configuration or the environment says.

    Raises:
        ConfigError: they are in several.
    """
    usual = os.environ.get("WANDB_PROJECT") or "seqbench"
    found = sorted({its.get("project") or usual for result in results for its in logged(result)})
    if len(found) > 1:
        raise ConfigError(
            f"these runs are in the projects {', '.join(found)} of W&B; choose one with --project, and its "
            "runs with --where logger.wandb.project=…."
        )
    return found[0] if found else usual


def _entity(results: Sequence[Result]) -> str | None:
    """Return W&B's team or user for whom runs are logged, if all of them name one."""
    found = {its.get("entity") for result in results for its in logged(result)}
    return found.pop() if len(found) == 1 else None


def _text(path: Path) -> str:
    try:
        return read(path).decode()
    except FileNotFoundError as error:
        raise StoreError(f"There is no file {path}.") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{path} is no workspace: it is not text in UTF-8.") from error


def _parser() -> Arguments:
    parser = Arguments(
        prog="seqbench dashboard", description="Make a workspace of Weights & Biases' for these runs."
    )
    add_choice(parser)
    parser.add_argument("--project", metavar="NAME", help="of W&B, where the runs are; default: theirs")
    parser.add_argument("--entity", metavar="NAME", help="W&B team or user; default: the account's own")
    parser.add_argument("--name", help="name of the workspace; default: seqbench")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write it here, and save nothing in W&B; default if nobody is logged in: dashboard.json",
    )
    parser.add_argument("--upload", type=Path, metavar="FILE", help="save a workspace that was written so")
    return parser
