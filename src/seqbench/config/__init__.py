"""Configurations: composed from presets, checked before anything trains, built, and identified."""

from seqbench.config.presets import CONF_DIR, GROUPS, preset_names

__all__ = ["CONF_DIR", "GROUPS", "preset_names"]
