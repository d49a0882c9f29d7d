"""`seqbench dashboard`: a workspace of Weights & Biases' for the runs that are chosen."""

from __future__ import annotations

from pathlib import Path

from seqbench.cli.arguments import Arguments
from seqbench.cli.choice import add_choice, chosen
from seqbench.errors import ConfigError, StoreError, say
from seqbench.runs.files import read, write_atomically


def main(argv: list[str]) -> int:
    """Run `seqbench dashboard` with the arguments after that word; return the exit code.

    Raises:
        ConfigError: an argument cannot be used, the package wandb-workspaces is missing, or W&B refuses.
        StoreError: there are no such runs, or a file cannot be read or written.
    """
    args = _parser().parse_intermixed_args(argv)
    if args.upload is not None and args.places != ["runs"]:
        raise ConfigError(
            f"--upload={args.upload} is a workspace that was written; leave {args.places[0]} out."
        )
    results = [] if args.upload else [run.result for run in chosen(args)]
    try:
        from seqbench.dashboards.workspace import from_json, logged_in, save, to_json, workspace
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "wandb_workspaces":
            raise
        raise ConfigError(
            "seqbench dashboard needs the package wandb-workspaces: pip install wandb-workspaces."
        ) from error
    if args.upload:
        found = from_json(_text(args.upload), str(args.upload))
    else:
        found = workspace(results, args.project or "seqbench", args.name)
    if logged_in():
        print(save(found, args.entity, args.project))
        return 0
    if args.upload:
        raise ConfigError("nobody is logged in to W&B; run `wandb login` first, and give the same command.")
    write_atomically(args.out, to_json(found))
    print(args.out)
    say(
        "nobody is logged in to W&B, so that the workspace is in this file. Run `wandb login`, and then "
        f"`seqbench dashboard --upload {args.out}`."
    )
    return 0


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
    parser.add_argument("--project", metavar="NAME", help="of W&B, where the runs are; default: seqbench")
    parser.add_argument("--entity", metavar="NAME", help="W&B team or user; default: the account's own")
    parser.add_argument("--name", default="seqbench", help="name of the workspace; default: seqbench")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("dashboard.json"),
        metavar="FILE",
        help="where to write it if nobody is logged in; default: dashboard.json",
    )
    parser.add_argument("--upload", type=Path, metavar="FILE", help="save a workspace that was written so")
    return parser
