"""Sweeps defined by presets, narrowed by the command line."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, read_write

from seqbench.config.explain import no_preset
from seqbench.config.presets import preset_names


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
        more = any(argument.startswith(("--config-d", "-cd")) for argument in argv)
        for name in () if more else names:  # a folder of presets may hold others
            if name not in known:
                raise no_preset("experiment", name, known)
        if names:
            return [[*argv[:i], f"experiment={name}", *argv[i + 1 :]] for name in names]
    return [argv]


class NarrowSweep(Callback):
    """Make `-m experiment=quickstart model=gru` sweep over the preset's other keys only.

    Without this, Hydra's sweeper would combine the preset's own `model: rnn,…,gru` with the `model=gru` of
    the command line, and run the same job several times.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        typed = list(config.hydra.overrides.task)
        parser = OverridesParser.create()
        fixed = {override.key_or_group for override in parser.parse_overrides(typed)}
        params = config.hydra.sweeper.get("params") or {}
        left = {key: value for key, value in params.items() if key not in fixed}
        with read_write(config):
            OmegaConf.update(config, "hydra.sweeper.params", left, merge=False)
        swept = parser.parse_overrides([*typed, *(f"{key}={value}" for key, value in left.items())])
        with suppress(HydraException):  # a glob, which cannot be counted without Hydra's list of presets
            jobs = math.prod(len(list(o.sweep_string_iterator())) for o in swept if o.is_sweep_override())
            print(f"{jobs} job{'s' * (jobs != 1)}; a line for every run that is done.", flush=True)
