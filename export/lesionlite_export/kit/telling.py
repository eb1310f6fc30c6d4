"""Which drawing to make a file of: the one by which the model tells its mistakes best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lesionlite_export.kit.drawings import Pixels, Score
from lesionlite_export.kit.images import Draft, KitFile
from lesionlite_export.kit.mistakes import PixelMistake, pixel_mistakes
from lesionlite_export.kit.photo import Photo
from lesionlite_export.kit.stages import DECODE, ORIENTATION
from lesionlite_export.progress import Reporter
from lesionlite_runtime.contract_fields import ImageInput

_TRIED = 5
_ENOUGH = 4.0  # times what a change of one grey level does
_NOISES = 4
_LEAST = 0.02  # of the score: other kernels differ by more, whatever the pixels


def chosen_files(
    drafts: Sequence[Draft], target: ImageInput, score: Score, report: Reporter
) -> Iterator[KitFile]:
    """Each draft as the file, of five drawings, whose score shows a wrong reading most clearly.

    That is: where even the mistake that moves the score least moves it many times more than a
    change of one grey level does, by which JPEG decoders and kernels differ.
    """
    mistakes = [
        mistake
        for mistake in pixel_mistakes()
        if mistake.stage in (DECODE, ORIENTATION) and not mistake.is_of_any
    ]
    for draft in report.track(drafts, "Choosing drawings", len(drafts)):
        best: tuple[float, KitFile] | None = None
        for number in range(draft.first, draft.first + _TRIED):
            file = draft.file(number)
            clear = _clearness(Photo(file.data, target), mistakes, score)
            if best is None or clear > best[0]:
                best = clear, file
            if clear >= _ENOUGH:
                break
        assert best is not None
        yield best[1]


def _clearness(photo: Photo, mistakes: Sequence[PixelMistake], score: Score) -> float:
    """The least effect of a mistake over that of noise; infinite where no mistake can be made."""
    wrong = [pixels for mistake in mistakes if (pixels := mistake.tensor(photo)) is not None]
    if not wrong:
        return np.inf
    right = score(photo.tensor)
    effects = [abs(score(pixels) - right) for pixels in wrong]
    noise = max(abs(score(pixels) - right) for pixels in noisy(photo.tensor, _NOISES))
    return min(effects) / max(noise, _LEAST)


def noisy(pixels: Pixels, count: int) -> Iterator[Pixels]:
    """``pixels``, each value moved by -1, 0 or 1 at random; ``count`` times."""
    random = np.random.default_rng(0)
    for _ in range(count):
        moved = pixels.astype(np.int16) + random.integers(-1, 2, pixels.shape, np.int16)
        yield np.clip(moved, 0, 255).astype(np.uint8)
