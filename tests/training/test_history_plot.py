"""The picture of a training: every member's line is in it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lesionlite_training.history_plot import history_png, read_histories
from lesionlite_training.trainer import LOG

BLUE, ORANGE = (31, 119, 180), (255, 127, 14)


def history(epochs: int, **more: list[float]) -> pd.DataFrame:
    numbers = np.arange(1, epochs + 1)
    return pd.DataFrame({"epoch": numbers, "loss": 1 / numbers, "learning_rate": 0.1, **more})


def pixels(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def count(png: bytes, color: tuple[int, int, int]) -> int:
    """Pixels of exactly that colour."""
    return int((pixels(png) == color).all(-1).sum())


def test_the_logs_of_all_members_are_read(tmp_path: Path) -> None:
    for name in ("final", "fold-0", "fold-1"):
        (tmp_path / name).mkdir()
        history(3).to_csv(tmp_path / name / LOG, index=False)
    (tmp_path / "fold-2").mkdir()  # begun, and without an epoch yet
    (tmp_path / LOG).write_text("no member")
    found = read_histories(tmp_path)
    assert list(found) == ["final", "fold-0", "fold-1"]
    assert found["fold-1"]["loss"].tolist() == pytest.approx([1, 1 / 2, 1 / 3])


def test_each_member_has_its_colour() -> None:
    one = history_png({"final": history(9)})
    two = history_png({"final": history(9), "fold-0": history(9) + 0.2})
    assert pixels(one).shape == (720, 1080, 3)
    assert count(one, BLUE) > 300
    assert count(one, ORANGE) == 0
    assert count(two, ORANGE) > 300


def test_held_back_images_have_a_line_of_their_own() -> None:
    plain = history(9)
    judged = history(9, validation_loss=list(np.linspace(0.9, 0.5, 9)))
    more = count(history_png({"final": judged}), BLUE) - count(history_png({"final": plain}), BLUE)
    assert more > 100


def test_a_lone_epoch_is_seen() -> None:
    """A line of one point is none; of the upper plot, the middle holds a lone point."""
    middle = pixels(history_png({"final": history(1)}))[180:300, 300:600]
    assert (middle == BLUE).all(-1).sum() > 10


def test_the_same_data_give_the_same_bytes() -> None:
    assert history_png({"final": history(2)}) == history_png({"final": history(2)})
    assert history_png({"final": history(2)}) != history_png({"final": history(3)})
