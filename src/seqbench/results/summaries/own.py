"""A user's own summary, held to what a summary promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import pandas as pd

from seqbench.errors import ConfigError, one_line
from seqbench.results.summaries.base import Cell, Row, Summary


def checked(summary: Summary) -> Summary:
    """Return a summary whose faults are ConfigErrors that name it; seqbench's own as they are.

    Raises:
        ConfigError: it does not say what its columns are.
    """
    return summary if type(summary).__module__.startswith("seqbench.") else OwnSummary(summary)


class OwnSummary(Summary):
    """Calls the methods of a summary, and checks what they return.

    Raises:
        ConfigError: it does not say what its columns are. A method that fails, returns something else than
            is due, or fills a column that is not declared, raises it, too.
    """

    def __init__(self, its: Summary) -> None:
        self.its = its
        self.name = f"{type(its).__module__}.{type(its).__name__}"
        columns, counts = (_tuple(getattr(its, name, ())) for name in ("columns", "counts"))
        if not columns or not _names(columns) or not _names(counts) or {*counts} - {*columns}:
            raise ConfigError(
                f"The summary {self.name} must say in `columns` what its columns are, a tuple of names, "
                "and in `counts` which of them hold whole numbers."
            )
        vars(self).update(columns=columns, counts=counts, legend=its.legend, heading=its.heading)

    @property
    def title(self) -> str:
        return type(self.its).__name__

    def compute(self, cell: Cell) -> Row:
        found = self._called("compute", cell)
        if not isinstance(found, Mapping):
            raise self._wrong("compute", f"{type(found).__name__}, and a dict is due")
        if more := [key for key in found if key not in self.columns]:
            raise self._wrong(
                "compute", f"{more[0]!r}, which is none of its columns {', '.join(self.columns)}"
            )
        return {key: self._value(key, value) for key, value in found.items()}

    def text(self, row: Row) -> str:
        return self._text("text", row)

    def baseline_text(self, row: Row) -> str:
        return self._text("baseline_text", row)

    def explain(self, rows: Sequence[Row]) -> str:
        return self._text("explain", rows)

    def side_text(self, rows: Sequence[Row]) -> str:
        return self._text("side_text", rows)

    def sorted_by(self, row: Row) -> float | None:
        found = self._called("sorted_by", row)
        if found is None:
            return None
        if not isinstance(found, Real):
            raise self._wrong("sorted_by", f"{type(found).__name__}, and a number or None is due")
        return float(found)

    def _value(self, column: str, value: Any) -> Any:
        """Return the value of a column in plain terms."""
        if getattr(value, "shape", None) == ():  # of NumPy or torch
            value = value.item()
        if value is None or (not isinstance(value, str) and pd.api.types.is_scalar(value) and pd.isna(value)):
            return float("nan")
        if isinstance(value, list | tuple) and column not in self.counts:  # such as a number of each seed
            return [self._value(column, each) for each in value]
        if not isinstance(value, str | Real):
            raise self._wrong(
                "compute", f"{type(value).__name__} for {column}, and a number or a text is due"
            )
        if column in self.counts and (isinstance(value, str) or not float(value).is_integer()):
            raise self._wrong("compute", f"{value!r} for {column}, and its `counts` say that this is whole")
        return value

    def _text(self, method: str, given: Any) -> str:
        found = self._called(method, given)
        if not isinstance(found, str | None):
            raise self._wrong(method, f"{type(found).__name__}, and a text is due, empty for none")
        return found or ""

    def _called(self, method: str, given: Any) -> Any:
        call: Callable[[Any], Any] = getattr(self.its, method)
        try:
            return call(given)
        except Exception as error:  # whatever a user's code raises
            told = f"{type(error).__name__}: {one_line(error)}"
            raise ConfigError(f"The summary {self.name} fails in {method} with {told}.") from error

    def _wrong(self, method: str, what: str) -> ConfigError:
        return ConfigError(f"{method} of the summary {self.name} returns {what}.")


def _tuple(given: Any) -> Any:
    return tuple(given) if isinstance(given, list) else given


def _names(given: Any) -> bool:
    return isinstance(given, tuple) and all(isinstance(name, str) for name in given)
