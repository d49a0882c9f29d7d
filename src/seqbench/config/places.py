"""Where loggers write: each run into a place of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from seqbench.errors import ConfigError

#: Arguments of loggers that make out a run. The first two, which seqbench gives, are different for each seed.
OF_A_SEED = ("info", "version")
OF_A_RUN = (*OF_A_SEED, "run_id", "id")
#: Arguments of loggers that say where a run is logged.
PLACE = (
    *("save_dir", "name", "version", "run_id", "id"),
    *("project", "entity", "experiment_name", "tracking_uri"),
)


def check_places(
    nodes: Mapping[str, Mapping[str, Any]], parameters: Mapping[str, Collection[str]], n_seeds: int
) -> None:
    """Raise a ConfigError where the loggers of several runs, or several of one, write into one place.

    Args:
        nodes: the nodes of the group `logger`, by name.
        parameters: by the same names, the parameters of what each node makes.
        n_seeds: runs of the configuration, each with loggers of its own.
    """
    places: dict[tuple[Any, ...], str] = {}
    for name, node in nodes.items():
        where, target = f"logger.{name}", str(node["_target_"])
        if target.endswith(".WandbLogger"):  # it takes the run that is open in the process
            raise ConfigError(
                f"{where}._target_={target} logs all seeds and jobs of a process into one run; choose "
                "logger=wandb, which makes a run for each."
            )
        given = [key for key in OF_A_RUN if node.get(key) is not None]
        differing = {key for key in OF_A_SEED if key in parameters[name]} - {*given}
        if n_seeds > 1 and given and ({*given} - {*OF_A_SEED} or not differing):
            raise ConfigError(
                f"{where}.{given[0]}={node[given[0]]} is the same for every seed, so that all write into one "
                "place; leave it out, or give n_seeds=1."
            )
        # Unless it is given, each node has a folder of its own.
        usual = {"save_dir": name} if "save_dir" in parameters[name] else {}
        place = (target, *((usual | dict(node)).get(key) for key in PLACE))
        if (other := places.setdefault(place, name)) != name:
            raise ConfigError(f"logger.{other} and {where} write into one place; leave one of them out.")
