"""What a summary is: a statistic of the runs in one cell of a comparison."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

from seqbench.runs.result import Result, Status

Row = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """The runs of one model on one task, trained at one length and tested at one length.

    Attributes:
        runs: one run for every seed, failed runs included; at least one.
        train_length: the length of the training sequences.
        length: the length of the test sequences.
        usual_runs: the number of runs that most cells of the task have.
    """

    runs: tuple[Result, ...]
    train_length: int
    length: int
    usual_runs: int

    @property
    def at_train_length(self) -> bool:
        """Whether the test length is the training length."""
        return self.length == self.train_length

    @property
    def solvable(self) -> bool:
        """Whether its runs count as solved or not: at the training length, if the task says when."""
        return self.at_train_length and any(run.solved_when for run in self.runs)

    @property
    def seeds(self) -> list[Result]:
        """The runs that did not fail."""
        return [run for run in self.runs if run.status != "failed"]

    @property
    def values(self) -> list[float]:
        """The headline metric at the test length, of the runs that have it; see `Result.value_at`."""
        tested = [run.value_at(self.length) for run in self.seeds]
        return [value for value in tested if value is not None]

    @property
    def solved_at(self) -> list[int | None]:
        """The step at which each seed solved the task; None for one that did not or that diverged."""
        return [run.steps_to_solve for run in self.seeds]

    @property
    def budgets(self) -> list[int]:
        """The steps that each seed was given, see `Result.budget`."""
        return [run.budget for run in self.seeds]

    def ended(self, status: Status) -> int:
        """Return the number of runs with a status."""
        return sum(run.status == status for run in self.runs)


class Summary(ABC):
    """A statistic of a cell: its columns in the frame of a comparison, and its text in tables.

    A summary appears in one of two places. Without a `heading` it is a line in the cell of every length:
    `text`. With one it is a column beside the lengths, one text for a model on a task: `side_text`.

        class Best(Summary):
            columns = ("best_value",)
            legend = "best value over seeds"

            def compute(self, cell):
                return {"best_value": max(cell.values)} if cell.values else {}

            def text(self, row):
                value = row["best_value"]
                return "" if pd.isna(value) else f"best {measured(value, row['unit'])}"

        seqbench report --summary my_package.my_module.Best
    """

    #: The columns that the summary adds to the frame.
    columns: ClassVar[tuple[str, ...]]
    #: Those of the columns that hold whole numbers.
    counts: ClassVar[tuple[str, ...]] = ()
    #: What the legend of a table says of the text, where a cell has one; empty for nothing.
    legend: ClassVar[str] = ""
    #: The heading of the column beside the lengths; empty for a line in every cell.
    heading: ClassVar[str] = ""

    @property
    def title(self) -> str:
        """What it is called where its heading is empty and a name is needed."""
        return type(self).__name__

    @abstractmethod
    def compute(self, cell: Cell) -> Row:
        """Return the values of the columns. A column that does not apply to the cell is left out."""

    def text(self, row: Row) -> str:
        """Return the text for a row of the frame; empty for none. Each fact takes a line."""
        return ""

    def baseline_text(self, row: Row) -> str:
        """Return the text in the same place of the best predictor that ignores the input; empty for none."""
        return ""

    def explain(self, rows: Sequence[Row]) -> str:
        """Return what the legend of a table with these rows says of the texts; empty for nothing."""
        return self.legend if any(self.text(row) for row in rows) else ""

    def sorted_by(self, row: Row) -> float | None:
        """Return what tables that can be sorted sort a row of the frame by, the best first; None for none.

        It is the first of the columns, where that is a number.
        """
        first = row[self.columns[0]]
        return float(first) if isinstance(first, Real) and not isinstance(first, bool) else None

    def side_text(self, rows: Sequence[Row]) -> str:
        """Return the text for the rows of one model on one task, all lengths."""
        return ""
