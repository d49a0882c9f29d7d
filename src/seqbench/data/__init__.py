"""Real data: what there is, where it lies, and how it is loaded.

A data set is one file, with its source, its reader and its split; `catalogue` lists them.
"""

from seqbench.data.image_cache import load_images
from seqbench.data.loading import load

__all__ = ["load", "load_images"]
