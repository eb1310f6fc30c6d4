"""Drawn pictures in the manner of dermoscopy, for demos and tests where no real photo is at hand.

They come from random numbers alone; no photograph has a part in them. They show that a program
runs, and nothing about how well a model tells real lesions apart.
"""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lesionlite_export.drawn.canvas import Canvas
from lesionlite_export.drawn.lesions import KINDS
from lesionlite_export.drawn.skin import draw_artefacts, draw_skin
from lesionlite_runtime.errors import UsageError

DRAWN_KINDS = tuple(KINDS)
README = """\
These pictures are synthetic: lesionlite drew them from random numbers.
They are no photographs, show nobody's skin, and say nothing about how well a model works.
"""

_MIN_SIDE, _MAX_SIDE = 32, 4096
_JPEG_QUALITY = 90
_COMMENT = b"synthetic drawing by lesionlite, no photograph"
_SEEDS_PER_SET = 1_000_000


def draw_lesion(seed: int, kind: str, size: tuple[int, int] = (320, 320)) -> NDArray[np.uint8]:
    """Draw one skin lesion.

    Args:
        seed: 0 or more; the same seed, kind and size give the same pixels on one machine with
            the same versions of NumPy and Pillow.
        kind: one of `DRAWN_KINDS`: ``melanoma``, ``nevus``, ``seborrheic_keratosis``.
        size: (height, width) in pixels, each 32..4096.

    Returns:
        uint8 ``[height, width, 3]``, RGB.

    Raises:
        UsageError: the seed, kind or size is none of these.
    """
    _check_kind(kind)
    if seed < 0:
        raise UsageError(f"seed {seed} is negative", "pass 0 or more")
    if not all(_MIN_SIDE <= side <= _MAX_SIDE for side in size):
        raise UsageError(
            f"cannot draw {size[0]} x {size[1]} pixels",
            f"keep both sides within {_MIN_SIDE} to {_MAX_SIDE}",
        )
    random = np.random.default_rng((seed, DRAWN_KINDS.index(kind)))
    canvas = Canvas.blank(size[0], size[1], random)
    draw_skin(canvas)
    KINDS[kind](canvas)
    draw_artefacts(canvas)
    return canvas.pixels()


def save_drawn(path: Path, seed: int, kind: str, size: tuple[int, int]) -> None:
    """Write `draw_lesion` as a JPEG whose comment says that it is a drawing."""
    Image.fromarray(draw_lesion(seed, kind, size)).save(
        path,
        "JPEG",
        quality=_JPEG_QUALITY,
        comment=_COMMENT,
    )


def write_drawn_dataset(
    folder: str | Path,
    *,
    train: Mapping[str, int],
    valid: Mapping[str, int],
    seed: int,
    size: tuple[int, int] = (320, 320),
) -> None:
    """Write drawings in the ISIC layout: ``train/KIND/*.jpg``, ``valid/KIND/*.jpg``, a README.txt.

    A picture depends on the seed, its set, kind and number alone: asking for more keeps the others.

    Args:
        folder: missing or empty; it is made.
        train: how many of each kind; a kind that is left out gets no folder.
        valid: as ``train``, other pictures.
        seed: 0 or more.
        size: (height, width) in pixels.

    Raises:
        UsageError: the folder holds something, a kind is unknown, or a count is out of range.
    """
    folder = Path(folder)
    sets = {"train": train, "valid": valid}
    for counts in sets.values():
        for kind, count in counts.items():
            _check_kind(kind)
            if not 0 <= count < _SEEDS_PER_SET:
                raise UsageError(f"cannot draw {count} pictures of {kind}", "pass 0 to 999999")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("the folder exists and is not empty", "name another one", folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Drawn aside and moved at the end, so that a reader never meets half of a set.
    with tempfile.TemporaryDirectory(prefix=".drawing-", dir=folder) as name:
        aside = Path(name)
        (aside / "README.txt").write_text(README, encoding="utf-8")
        for number, (split, counts) in enumerate(sets.items()):
            (aside / split).mkdir()
            for kind, count in counts.items():
                if count:
                    (aside / split / kind).mkdir()
                for index in range(count):
                    path = aside / split / kind / f"synthetic_{split}_{kind}_{index:03d}.jpg"
                    save_drawn(path, (2 * seed + number) * _SEEDS_PER_SET + index, kind, size)
        for child in sorted(aside.iterdir()):
            child.rename(folder / child.name)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, DRAWN_KINDS, n=1) or DRAWN_KINDS
        raise UsageError(f"unknown kind of lesion {kind!r}", f"use one of: {', '.join(near)}")
