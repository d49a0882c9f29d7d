"""A package outside seqbench: a cell, a task, a metric, a statistic, a family of graphs."""
