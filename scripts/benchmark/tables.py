"""What is printed: rows, and numbers beside the marks that they are to reach."""

from __future__ import annotations

from tabulate import tabulate

#: A row of a table: column to value. A column that a row lacks is printed as a dash.
Row = dict[str, object]


def against(name: str, ours: float | None, theirs: float | None, mark: float | None = None) -> Row:
    """Return the columns of a ratio: the ratio, the mark that it is to reach, and whether it does.

    Args:
        name: what it is a ratio to.
        ours: our number; less is better.
        theirs: the other's; None where it was not measured.
        mark: the largest ratio that will do; None where none is set.
    """
    if ours is None or theirs is None:
        return {f"to {name}": None} | ({} if mark is None else {f"mark, {name}": mark})
    ratio = ours / theirs
    row: Row = {f"to {name}": ratio}
    if mark is not None:
        row |= {f"mark, {name}": mark, f"reached, {name}": "yes" if ratio <= mark else "no"}
    return row


def markdown(rows: list[Row]) -> str:
    """Return the rows as a table; columns stand in the order in which they first occur."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    values = [[row.get(column) for column in columns] for row in rows]
    return tabulate(values, headers=columns, tablefmt="github", floatfmt=".3g", missingval="—")
