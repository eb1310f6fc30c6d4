"""The images whose decision flipped, as photos with both scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lesionlite_export.labels_parity import LabelScoreParity
from lesionlite_export.parity import FLIPS, ScoreParity
from lesionlite_export.pictures.scores import FLIP_MARKS, label_flips
from lesionlite_export.pictures.style import GREY, panels, plain, words_alone
from lesionlite_runtime.errors import LesionliteError
from lesionlite_runtime.pixels import image_tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 24
_PER_ROW = 6
_PIXELS = 224
_INCHES = 1.9
_NAME_LENGTH = 26


@dataclass(frozen=True)
class Flip:
    """An image that flipped.

    Attributes:
        path: of the image.
        kind: what the flip does, such as ``newly_missed``; ``flipped`` where it does neither good
            nor harm.
        class_name: of the image; empty where nothing says it.
        reference: what the reference says of it, in words.
        file: what the file says.
        size: how far apart the scores are.
    """

    path: Path
    kind: str
    class_name: str
    reference: str
    file: str
    size: float


def flips_of(parity: ScoreParity | LabelScoreParity, classes: Sequence[str] = ()) -> list[Flip]:
    """All flips, the largest difference of scores first.

    Args:
        parity: the comparison.
        classes: name of the class of each image; empty where nothing says it.
    """
    if isinstance(parity, ScoreParity):
        kinds = {kind: getattr(parity, kind) for kind in FLIPS}
        sizes = np.abs(parity.errors)
        theirs = [f"{score:.4f}" for score in parity.score_keras]
        ours = [f"{score:.4f}" for score in parity.score_tflite]
    else:
        kinds, sizes = label_flips(parity), parity.largest_errors
        names = ("no label", *parity.label_names)
        theirs = [names[i + 1] for i in parity.decisions_keras]
        ours = [names[i + 1] for i in parity.decisions_tflite]
    found = [
        Flip(
            Path(parity.files[i]),
            kind,
            classes[i] if classes else "",
            theirs[i],
            ours[i],
            float(sizes[i]),
        )
        for kind, mask in kinds.items()
        for i in np.flatnonzero(mask).tolist()
    ]
    return sorted(found, key=lambda flip: (-flip.size, str(flip.path)))


def flips_gallery(flips: Sequence[Flip], reference: str = "Keras") -> Figure:
    """The first `MOST` of ``flips``, read again from their files; how many more there are.

    Each photo is squeezed to a square, as a network gets it. One that cannot be read any more is
    an empty frame with words.
    """
    if not flips:
        return words_alone("No decision flipped.")
    shown = flips[:MOST]
    columns = min(len(shown), _PER_ROW)
    rows = -(-len(shown) // columns)
    width = max(columns * _INCHES, 4.0)
    figure, all_axes = panels(columns, width, rows * (_INCHES + 0.85) + 0.5, rows)
    for axes, flip in zip(all_axes, shown, strict=False):
        _draw(axes, flip, reference)
    for axes in all_axes[len(shown) :]:
        axes.axis("off")
    more = len(flips) - len(shown)
    counted = f"{len(flips)} flipped" if not more else f"{len(shown)} of {len(flips)} flipped"
    tail = f"; {more} more are not shown" if more else ""
    figure.suptitle(f"{counted}, largest difference first{tail}", fontsize=10)
    return figure


def _draw(axes: Axes, flip: Flip, reference: str) -> None:
    _, color = FLIP_MARKS[flip.kind]
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(color)
    axes.spines[:].set_linewidth(2.5)
    axes.set_aspect("equal")
    try:
        axes.imshow(image_tensor(flip.path, _PIXELS, _PIXELS))
    except (LesionliteError, OSError, ValueError):  # it was there when it was scored
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.text(0.5, 0.5, "the photo is\ngone", ha="center", va="center", color=GREY, fontsize=9)
    lines = [
        flip.kind.replace("_", " "),
        plain(flip.path.name, _NAME_LENGTH),
        f"{plain(reference, 12)} {plain(flip.reference, 14)}",
        f"file {plain(flip.file, 14)}",
    ]
    if flip.class_name:
        lines.insert(1, plain(flip.class_name, _NAME_LENGTH))
    axes.set_title("\n".join(lines), fontsize=8)
