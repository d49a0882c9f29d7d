"""The frame of a comparison for programs: CSV and JSON."""

from __future__ import annotations

from seqbench.results.frame import Comparison


def to_csv(comparison: Comparison) -> str:
    """Return the frame as CSV. An infinite number of steps reads `inf`."""
    return comparison.frame.to_csv(index=False)


def to_json(comparison: Comparison) -> str:
    """Return the frame as a JSON list of records. A missing or infinite value reads null."""
    frame = comparison.frame
    return frame.to_json(orient="records", indent=1, double_precision=15, force_ascii=False) + "\n"
