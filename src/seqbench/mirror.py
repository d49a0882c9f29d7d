"""Names that tests import from here until they import them from `seqbench.data`."""

from seqbench.data.cmudict import write_entries
from seqbench.data.images import write_images as write_parquet
from seqbench.data.source import mirror_file

__all__ = ["mirror_file", "write_entries", "write_parquet"]
