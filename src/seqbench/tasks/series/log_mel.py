"""Log-mel spectra: how loud a sound is, over time, in bands that are as wide as those of the ear."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from seqbench.data.recordings import RATE

#: Samples of a frame, 25 ms; from one frame to the next, 10 ms; and of the transform, frame and zeros.
FRAME, HOP, FFT = 400, 160, 512
BANDS = 40
#: The lowest and the highest frequency of the bands, in Hz.
LOW, HIGH = 20.0, 8_000.0
#: Added to the energy of a band, which may be 0.
FLOOR = 1e-6


def log_mel(samples: NDArray[np.int16], frames: int) -> NDArray[np.float32]:
    """Return the log-mel spectrum of a sound, (frames, 40) of float32.

    Frames of 400 samples in [−1, 1) are multiplied with Hann's window. The energy of band b is the sum of
    |FFT|² over the frequencies, each by the height of the band's triangle there; its logarithm is natural. A
    shorter sound goes on in silence, a longer one is cut.

    Args:
        samples: (N,) at 16,000 a second.
        frames: T, 10 ms apart.
    """
    needed = FRAME + HOP * (frames - 1)
    sound = np.zeros(needed)
    sound[: len(samples)] = samples[:needed] / 32_768
    windows = np.lib.stride_tricks.sliding_window_view(sound, FRAME)[::HOP]
    energy = np.abs(np.fft.rfft(windows * _hann(), FFT)) ** 2 @ triangles()
    return np.log(energy + FLOOR).astype(np.float32)


@cache
def triangles() -> NDArray[np.float64]:
    """Return the height of each band's triangle at each frequency, (257, 40).

    The corners are equally far from each other in mel, 2595 log₁₀(1 + f/700); a band rises from the centre of
    the one below to its own, and falls to that of the one above.
    """
    mels = np.linspace(2595 * np.log10(1 + LOW / 700), 2595 * np.log10(1 + HIGH / 700), BANDS + 2)
    corners = 700 * (10 ** (mels / 2595) - 1)
    frequency = np.arange(FFT // 2 + 1)[:, None] * (RATE / FFT)
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (frequency - low) / (centre - low), (high - frequency) / (high - centre)
    heights: NDArray[np.float64] = np.clip(np.minimum(rising, falling), 0, None)
    return heights


@cache
def _hann() -> NDArray[np.float64]:
    window: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
    return window
