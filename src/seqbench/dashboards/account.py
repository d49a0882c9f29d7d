"""Whose account of Weights & Biases' is used."""

from __future__ import annotations

import os


def logged_in() -> bool:
    """Return whether somebody is logged in to W&B, and its server may be asked."""
    if os.environ.get("WANDB_MODE") in ("offline", "dryrun", "disabled"):
        return False
    import wandb

    try:
        return wandb.login(prompt=False)
    except Exception:  # a malformed key, a server that does not answer
        return False
