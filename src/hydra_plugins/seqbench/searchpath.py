"""Puts the user's own presets before the built-in ones: they add to these and may replace them.

Hydra loads every plugin at every start, so nothing heavy is imported here.
"""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from seqbench.config.presets import CONF_DIR, user_presets


class UserPresets(SearchPathPlugin):
    """Those of `config.presets.user_presets`, for seqbench's own applications and no other."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        paths = [str(entry.path).removeprefix("file://") for entry in search_path.get_path()]
        for folder in reversed(user_presets()) if str(CONF_DIR) in paths else ():
            search_path.prepend(provider="seqbench-presets", path=f"file://{folder}")
