"""Half precision: every model trains in it, or is named."""

from __future__ import annotations

import math
import re
from typing import Any

from lightning.pytorch.plugins.precision import HalfPrecision, MixedPrecision, Precision

from .outcome import Outcome, Row, reason
from .plan import Plan
from .steps import training

#: What torch says of an operation that it does not have in half precision; a model that needs it is named.
CANNOT = re.compile(r"BFloat16|bfloat16|dtype|data type|scalar type|not implemented")
#: Losses at the end whose mean is held against the first one.
LAST = 5


def half(plan: Plan) -> Outcome:
    """The loss of the first step on one batch, and the mean of the last five of twenty, in half precision."""
    outcome = Outcome()
    for preset in plan.models:
        row: Row = {"model": preset}
        outcome.rows.append(row)
        for precision in plan.precisions:
            try:
                losses = train(plan, preset, precision)
            except Exception as error:  # whatever it is, the other presets are still to be checked
                row[precision] = f"cannot: {reason(error)}"
                if not CANNOT.search(str(error)):
                    outcome.failed.append(f"{preset}, {precision}: {reason(error)}")
                continue
            if not losses:
                row[precision] = "it solves for its readout, without a loss"
                continue
            first, last = losses[0], sum(losses[-LAST:]) / LAST
            row[precision] = f"{first:.3g} to {last:.3g}"
            if not all(map(math.isfinite, losses)):
                outcome.failed.append(f"{preset}, {precision}: a loss is not finite")
            elif last >= first:
                outcome.failed.append(
                    f"{preset}, {precision}: the loss does not fall, {first:.3g} to {last:.3g}"
                )
    return outcome


def train(plan: Plan, preset: str, precision: str) -> list[float]:
    """Return the loss of each step on one batch, as Lightning arranges the precision; none without losses."""
    plugin = precision_plugin(precision, plan.device)
    its, (batch,) = training(plan, preset, size=plan.small, convert=plugin.convert_module)
    batch = plugin.convert_input(batch)
    losses = []
    for step in range(plan.half_steps):
        with plugin.train_step_context():
            its.train([batch], step)
        if its.last is not None:
            losses.append(its.last[0].item())
    return losses


def precision_plugin(precision: Any, device: str) -> Precision:
    """Return what Lightning sets up for a precision."""
    return MixedPrecision(precision, device) if precision.endswith("mixed") else HalfPrecision(precision)
