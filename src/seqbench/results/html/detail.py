"""What the page shows of a cell beside the default summaries: the seed of each value, time and memory."""

from __future__ import annotations

from statistics import median

from seqbench.results.summaries import Cell, Row, Summary


class Detail(Summary):
    """The seeds of values and of steps, and the median time and memory of a cell's runs. It is in no table.

    Columns, whose names no other summary has: `page.value_seeds`, the seed of each of `values`;
    `page.solved_seeds`, of each of `solved_at`; `page.censored_seeds`, of each of `censored_at`;
    `page.wall_time_s`, the median time of a run; `page.peak_memory_bytes`, the median of the peaks, each of
    which is of a process with all seeds in it.
    """

    columns = (
        *("page.value_seeds", "page.solved_seeds", "page.censored_seeds"),
        *("page.wall_time_s", "page.peak_memory_bytes"),
    )

    def compute(self, cell: Cell) -> Row:
        """Return the seeds and the medians."""
        times = [run.wall_time_s for run in cell.seeds]
        peaks = [run.peak_memory_bytes for run in cell.seeds if run.peak_memory_bytes is not None]
        row: Row = {"page.value_seeds": [r.seed for r in cell.seeds if r.value_at(cell.length) is not None]}
        if cell.at_train_length:
            ends = [(run.steps_to_solve, run.budget, run.seed) for run in cell.seeds]
            row["page.solved_seeds"] = [
                seed for _, seed in sorted((s, n) for s, _, n in ends if s is not None)
            ]
            row["page.censored_seeds"] = [seed for _, seed in sorted((b, n) for s, b, n in ends if s is None)]
        row |= {"page.wall_time_s": median(times)} if times else {}
        return row | ({"page.peak_memory_bytes": median(peaks)} if peaks else {})
