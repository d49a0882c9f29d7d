"""Loggers: checked once, then started for each run."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from omegaconf import DictConfig

from seqbench.config.build import asked_for, nodes
from seqbench.config.instantiate import check, instantiate
from seqbench.config.places import check_places
from seqbench.config.refusal import refusal
from seqbench.config.targets import find, kind_of
from seqbench.config.trust import allowed_packages
from seqbench.errors import ConfigError

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

#: The file in the folder of all runs that who makes a logger locks.
LOCK = ".loggers.lock"


class LoggerFactory:
    """Makes the loggers of runs, one for each node of the group `logger`; checks the nodes once.

        make_loggers = LoggerFactory(cfg)
        loggers = list(make_loggers(offered))

    Args:
        cfg: a configuration.

    Raises:
        ConfigError: a value does not fit, or several loggers would write the same files or the same run.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self._kind, allowed = kind_of("logger"), allowed_packages(cfg)
        self._runs_dir = Path(str(cfg.runs_dir))
        self._checked = {
            name: check(node, f"logger.{name}", self._kind, allowed, ("info",))
            for name, node in nodes(cfg, "logger").items()
        }
        for name, node in self._checked.items():
            _check_stays(f"logger.{name}", name)
            for key in ("name", "version", "sub_dir"):  # Lightning's loggers make folders of these
                _check_stays(f"logger.{name}.{key}={node.get(key)}", str(node.get(key, "")))
        targets = {name: find(node["_target_"]) for name, node in self._checked.items()}
        self._parameters = {name: inspect.signature(target).parameters for name, target in targets.items()}
        check_places(self._checked, self._parameters, cfg.n_seeds)
        modules = {name: str(getattr(target, "__module__", "")) for name, target in targets.items()}
        self._lightnings = {name for name, module in modules.items() if module.startswith("lightning.")}
        for name, target in targets.items():
            self._try(name, target, cfg.n_seeds)

    def _try(self, name: str, target: Any, n_seeds: int) -> None:
        """Find out what a logger refuses, as far as that can be known without starting it."""
        node = self._checked[name]
        if hasattr(target, "check") and node.get("required") is not False:
            try:
                given = {key: value for key, value in node.items() if not key.startswith("_")}
                target.check(**given, **asked_for(target.check, {"n_seeds": n_seeds}))
            except ValueError as error:
                raise refusal(error, node, f"logger.{name}") from error
        elif name in self._lightnings:
            with TemporaryDirectory() as folder, self._alone(name):
                self._make(name, {"save_dir": folder, "name": "trial", "version": "trial"})

    def __call__(self, offered: Mapping[str, Any]) -> Iterator[Logger]:
        """Start the loggers of one run, and yield each.

        Args:
            offered: what depends on the run. A logger gets what its signature names and its node does not
                set: `info`, a RunInfo; and, as Lightning's loggers name them, `save_dir`, `name`, `version`,
                `run_name`, `experiment_name`. In `save_dir` each logger has a folder of its node's name.

        Raises:
            ConfigError: a package is missing, a value is refused, or a server does not answer.
        """
        for name, node in self._checked.items():
            with self._alone(name):
                logger = self._make(name, offered)
                try:
                    _ = getattr(logger, "experiment", None)  # Lightning's loggers start when asked for it
                except Exception as error:  # of the many kinds of their packages
                    raise refusal(error, node, f"logger.{name}") from error
            yield logger

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Within this, no other process makes a logger of Lightning's: two would spoil one database."""
        with ExitStack() as held:
            if name in self._lightnings and self._runs_dir.is_dir():
                with suppress(OSError):  # where nothing can be written, nothing is made
                    held.enter_context(FileLock(self._runs_dir / LOCK))
            yield

    def _make(self, name: str, offered: Mapping[str, Any]) -> Logger:
        node = self._checked[name]
        mine = dict(offered) | {"save_dir": str(Path(offered["save_dir"]) / name)}
        given = {
            key: value for key, value in mine.items() if key in self._parameters[name] and key not in node
        }
        logger: Logger = instantiate(node, f"logger.{name}", self._kind, **given)
        return logger


def _check_stays(what: str, name: str) -> None:
    """Raise a ConfigError where a name that becomes a folder leaves the folder that it is put in."""
    path = PurePath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ConfigError(f"{what} would leave the folder of the runs; give a name, or set save_dir.")
