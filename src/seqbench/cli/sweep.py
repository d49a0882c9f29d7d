"""The command line of a sweep: its own options, and experiments that are sweeps themselves."""

from __future__ import annotations

from contextlib import suppress

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.errors import HydraException

from seqbench.cli.arguments import Arguments
from seqbench.config.explain import no_preset
from seqbench.config.overrides import quoted
from seqbench.config.presets import preset_names
from seqbench.errors import ConfigError

SWEEP = ("-m", "--multirun")


def as_hydra_reads_it(args: list[str]) -> list[str]:
    """Return a command line with keys of Hydra's in place of seqbench's options.

    Values that go together, and a file of jobs, make a sweep. A plan is one of what the command itself would
    run, a sweep or not.

    Raises:
        ConfigError: an option lacks its value, `--config-dir` names no folder, or `--cfg` is beside a sweep.
    """
    parser = Arguments("seqbench", add_help=False, allow_abbrev=False)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--zip", action="append")
    parser.add_argument("--jobs")
    given, left = parser.parse_known_args(args)
    keys = []
    if given.zip is not None:
        keys += [f"hydra.sweeper.zip=[{','.join(f'[{group}]' for group in given.zip)}]"]
    if given.jobs is not None:
        keys += [f"hydra.sweeper.jobs={quoted(given.jobs)}"]
    keys += ["hydra.launcher.dry_run=true"] * given.dry_run
    sweep = ["-m"] * (given.zip is not None or given.jobs is not None or bool({*SWEEP} & {*left}))
    if sweep and any(word in ("--cfg", "-c") or word.startswith("--cfg=") for word in left):
        raise ConfigError("--cfg shows the configuration of one run, and this is a sweep; leave -m out.")
    return [*sweep, *(word for word in left if word not in SWEEP), *keys]


def each_experiment(argv: list[str]) -> list[list[str]]:
    """Return the command lines that `-m experiment=one,two` stands for, with one experiment each.

    Hydra sweeps over one set of keys, and each experiment has its own.

    Raises:
        ConfigError: there is no experiment of a name.
    """
    places = [i for i, argument in enumerate(argv) if argument.startswith("experiment=")]
    if not places or not {"-m", "--multirun"} & {*argv}:
        return [argv]
    i = places[-1]  # what comes last counts
    with suppress(HydraException):  # Hydra says what is wrong with it
        override = OverridesParser.create().parse_override(argv[i])
        value, known = override.value(), preset_names("experiment")
        if isinstance(value, Glob):
            names = value.filter(known)
        else:
            names = list(override.sweep_string_iterator()) if override.is_sweep_override() else []
        for name in names:
            if name not in known:
                raise no_preset("experiment", name, known)
        if names:
            return [[*argv[:i], f"experiment={name}", *argv[i + 1 :]] for name in names]
    return [argv]
