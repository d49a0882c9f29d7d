"""The form in which every analysis hands over what it found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure


class Presentation(ABC):
    """What an analysis found, in words, as a table, in full, and as a figure."""

    #: What the figure shows, in a few words.
    title: ClassVar[str]
    #: Significant digits of the numbers in a file.
    digits: ClassVar[int] = 4

    @property
    @abstractmethod
    def note(self) -> str:
        """What a reader of table and figure has to know."""

    @abstractmethod
    def table(self) -> pd.DataFrame:
        """Return a short table: text in every cell."""

    @abstractmethod
    def numbers(self) -> pd.DataFrame:
        """Return every number that the figure shows, in tidy form."""

    @abstractmethod
    def draw(self) -> Figure:
        """Return the figure."""
