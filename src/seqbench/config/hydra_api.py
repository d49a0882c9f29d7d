"""Hydra's composition, called so that a program which uses Hydra itself keeps its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf

from seqbench.config.fit import folder
from seqbench.config.presets import CONF_DIR
from seqbench.config.shares import register

# For conf/config.yaml: Hydra writes into the folder of a sweep before it calls anything of seqbench's.
OmegaConf.register_new_resolver("seqbench.folder", lambda path: folder(path, "runs_dir"), replace=True)
register()


def composed(overrides: Sequence[str]) -> DictConfig:
    """Return what Hydra composes, with its own key `hydra`. Errors are those of Hydra, OmegaConf and YAML."""
    import hydra

    from hydra_plugins.seqbench.loader import preset_loader

    with _own_state(), preset_loader(), hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        cfg = hydra.compose("config", overrides=list(overrides), return_hydra_config=True)
        assert isinstance(cfg, DictConfig)
        return cfg


@contextmanager
def _own_state() -> Iterator[None]:
    """Leave Hydra's global state as it was."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.singleton import Singleton
    from hydra.core.utils import JobRuntime
    from hydra.version import VersionBase

    kinds = (GlobalHydra, HydraConfig, JobRuntime, VersionBase)
    instances: dict[Any, Any] = Singleton._instances
    before = {kind: instances.pop(kind) for kind in kinds if kind in instances}
    try:
        yield
    finally:
        for kind in kinds:
            instances.pop(kind, None)
        instances.update(before)
