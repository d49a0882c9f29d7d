"""Spoken words: the spectrum by its formula, which recordings count, and when spectra are made anew."""

from __future__ import annotations

import io
import math
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqbench.data.source import mirror_file
from seqbench.data.table_packages import write_table
from seqbench.errors import ConfigError, DataError
from seqbench.tasks.series import speech_commands
from seqbench.tasks.series.log_mel import log_mel, triangles
from seqbench.tasks.series.speech_commands import COMMANDS, WORDS, SpeechCommands

RATE = 16_000


def wav(samples: np.ndarray, rate: int = RATE, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def tone(frequency: float, seconds: float = 0.1) -> np.ndarray:
    return 8_000 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)


def reference(samples: np.ndarray, frame: int, band: int) -> float:
    """Return one entry of a log-mel spectrum in float64, from the sums of its definition."""
    inside = samples[160 * frame : 160 * frame + 400] / 32_768
    window = [0.5 - 0.5 * math.cos(2 * math.pi * n / 400) for n in range(400)]

    def mel(f: float) -> float:
        return 2595 * math.log10(1 + f / 700)

    corners = [
        700 * (10 ** ((mel(20) + (band + i) * (mel(8000) - mel(20)) / 41) / 2595) - 1) for i in range(3)
    ]
    energy = 0.0
    for k in range(257):
        f = k * RATE / 512
        height = min(
            (f - corners[0]) / (corners[1] - corners[0]), (corners[2] - f) / (corners[2] - corners[1])
        )
        if height > 0:
            angle = [2 * math.pi * k * n / 512 for n in range(len(inside))]
            real = sum(x * w * math.cos(a) for x, w, a in zip(inside, window, angle, strict=False))
            imaginary = sum(x * w * math.sin(a) for x, w, a in zip(inside, window, angle, strict=False))
            energy += height * (real**2 + imaginary**2)
    return math.log(energy + 1e-6)


def test_the_spectrum_is_that_of_its_definition() -> None:
    samples = np.random.default_rng(0).integers(-20_000, 20_000, size=2_000).astype(np.int16)
    found = log_mel(samples, 11)
    assert found.shape == (11, 40) and found.dtype == np.float32
    for frame, band in ((0, 0), (3, 1), (5, 17), (10, 39)):
        assert found[frame, band] == pytest.approx(reference(samples, frame, band), abs=1e-5)
    short = log_mel(samples[:500], 11)
    assert short[1, 5] != found[1, 5] and (short[4:] == np.float32(math.log(1e-6))).all()
    assert (triangles().max(0) > 0).all() and triangles().shape == (257, 40)


def test_a_tone_is_loudest_in_its_band() -> None:
    centres = 700 * (
        10 ** (np.linspace(2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + 8000 / 700), 42) / 2595) - 1
    )
    for band in (5, 20, 35):
        assert log_mel(tone(centres[band + 1]).astype(np.int16), 5)[2].argmax() == band


def put(data_dir: Path, splits: dict[str, list[tuple[str, bytes]]]) -> None:
    for split, rows in splits.items():
        path = mirror_file("speech_commands", split, data_dir)
        path.parent.mkdir(parents=True, exist_ok=True)
        audio = [{"bytes": content, "path": "a.wav"} for _, content in rows]
        write_table({"audio": audio, "label": [label for label, _ in rows]}, path)


def spoken(labels: tuple[str, ...], first: int = 0) -> list[tuple[str, bytes]]:
    return [(label, wav(tone(200 + 50 * (first + i)))) for i, label in enumerate(labels)]


SPOKEN = {
    "train": spoken(("yes", "bed", "no", "stop", "_silence_", "yes")),
    "validation": spoken(("go", "cat"), 10),
    "test": spoken(("yes", "up", "wow"), 20),
}


def test_recordings_of_the_words_count_and_are_standardised_by_training(tmp_path: Path) -> None:
    put(tmp_path, SPOKEN)
    task = SpeechCommands(data_dir=tmp_path)
    assert [task.read_split(split).targets.tolist() for split in SPOKEN] == [[0, 1, 8, 0], [9], [0, 2]]
    more = SpeechCommands(classes=35, data_dir=tmp_path)
    assert more.read_split("validation").targets.tolist() == [9, WORDS.index("cat")]
    train = task.train.inputs
    assert train.shape == (4, 98, 40) and train.dtype == torch.float32
    raw = np.stack([log_mel(tone(200 + 50 * i).astype("<i2"), 98) for i in (0, 2, 3, 5)]).astype(np.float64)
    mean, std = raw.mean((0, 1)), raw.std((0, 1))
    torch.testing.assert_close(train.double(), torch.from_numpy((raw - mean) / std), rtol=0, atol=1e-4)
    test = (log_mel(tone(200 + 50 * 21).astype("<i2"), 98) - mean) / std
    torch.testing.assert_close(task.test(98).inputs[1].double(), torch.from_numpy(test), rtol=0, atol=1e-4)
    assert (task.length, task.targets.size, task.token_names()[1]) == (98, 10, COMMANDS)
    assert task.about()["examples"] == "4 train, 1 validation, 2 test" and task.variant == "10 words"
    assert task.chance(98) == {"accuracy": 0.5}


def test_spectra_are_made_once_for_the_data_and_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, SPOKEN)
    before = SpeechCommands(data_dir=tmp_path).fingerprint()
    with monkeypatch.context() as broken:
        broken.setattr(speech_commands, "log_mel", None)
        again = SpeechCommands(data_dir=tmp_path)
        assert again.fingerprint() == before and isinstance(again.arrays["train-inputs"], np.memmap)
    made: list[int] = []
    monkeypatch.setattr(speech_commands, "log_mel", lambda *args: made.append(1) or log_mel(*args))
    with monkeypatch.context() as edited:  # the code's own file has another content
        code = tmp_path / "log_mel.py"
        code.write_text("# edited")
        edited.setattr(speech_commands.spectra, "__file__", str(code))
        assert SpeechCommands(data_dir=tmp_path).fingerprint() == before and len(made) == 7
    put(tmp_path, SPOKEN | {"test": spoken(("yes", "up", "wow"), 30)})
    assert SpeechCommands(data_dir=tmp_path).fingerprint() != before and len(made) == 14
    (tmp_path / "other").mkdir()
    put(tmp_path / "other", SPOKEN)
    assert SpeechCommands(data_dir=tmp_path / "other").fingerprint() == before


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, content: bytes | None) -> None:
    """An empty file, one that is no array, and one with another last number."""
    put(tmp_path, SPOKEN)
    before = SpeechCommands(data_dir=tmp_path).fingerprint()
    (file,) = (tmp_path / ".cache").glob("speech-*/train-inputs.npy")
    whole = file.read_bytes()
    file.write_bytes(whole[:-4] + bytes(4) if content is None else content)
    assert SpeechCommands(data_dir=tmp_path).fingerprint() == before
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_memory_alone(tmp_path: Path) -> None:
    put(tmp_path, SPOKEN)
    (tmp_path / ".cache").write_text("")
    held = SpeechCommands(data_dir=tmp_path)
    assert not isinstance(held.arrays["train-inputs"], np.memmap)
    put(tmp_path / "other", SPOKEN)
    assert held.fingerprint() == SpeechCommands(data_dir=tmp_path / "other").fingerprint()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("yes", b"RIFF")], "train row 0 holds no WAV file"),
        (
            [("yes", wav(tone(200), rate=8_000))],
            "1 channels, 16 bits and 8,000 samples a second, and must be",
        ),
        ([("yes", wav(tone(200), channels=2))], "a WAV file of 2 channels"),
        ([("bed", wav(tone(200)))], "train has no recording of yes, no, up or another word"),
    ],
)
def test_a_fault_is_one_sentence(tmp_path: Path, rows: Any, said: str) -> None:
    put(tmp_path, SPOKEN | {"train": rows})
    with pytest.raises(DataError, match=said):
        SpeechCommands(data_dir=tmp_path).prepare(1)
    assert not [*(tmp_path / ".cache").glob("*/*")], "nothing half made is left"


def test_what_is_missing_or_out_of_range_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"task\.classes=12 must be 10 or 35"):
        SpeechCommands(classes=12)
    with pytest.raises(ConfigError, match=r"task\.solved_at=0 must be a share"):
        SpeechCommands(solved_at=0)
    put(tmp_path, SPOKEN)
    mirror_file("speech_commands", "validation", tmp_path).unlink()
    with pytest.raises(DataError, match=r"speech_commands has no validation\.parquet"):
        SpeechCommands(data_dir=tmp_path).prepare(1)
    write_table({"sound": [1], "label": ["yes"]}, mirror_file("speech_commands", "validation", tmp_path))
    with pytest.raises(DataError, match="no column 'audio', but sound, label"):
        SpeechCommands(data_dir=tmp_path).prepare(1)
    assert len(WORDS) == len({*WORDS}) == 35
