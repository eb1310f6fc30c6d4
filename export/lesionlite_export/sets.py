"""The images that an export works on: representative ones, and those of the proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lesionlite_export.image_statistics import check_representative, compare_sets
from lesionlite_export.manifest import Manifest
from lesionlite_export.recipe import Recipe
from lesionlite_export.representative import DEFAULT_SIZE, PreparedImage
from lesionlite_runtime.errors import UsageError


@dataclass(frozen=True)
class Sets:
    """What an image classifier's export works on: representative and proof images.

    ``representative`` may be None for a recipe that is not calibrated, and ``proof`` where the file
    is to go out unproved. ``listed`` is a list that an export wrote: its images calibrate, in its
    order, and its paths count from the folder of ``representative``.
    """

    representative: Manifest | None
    proof: Manifest | None
    size: int = DEFAULT_SIZE
    seed: int = 0
    listed: Path | None = None


def check_sets(recipe: Recipe, sets: Sets | None, prove: bool) -> None:
    """Refuse an image classifier's export that has not the images it needs.

    Raises:
        UsageError: see above.
    """
    if sets is None and (recipe.calibrated or prove):
        raise UsageError(
            "an image classifier needs images to be calibrated and proved on",
            "pass --data FOLDER, or --representative CSV and --proof CSV",
        )
    if prove and (sets is None or sets.proof is None):
        raise UsageError("there are no proof images", "pass --proof CSV, or --no-proof for a trial")
    if recipe.calibrated and (sets is None or sets.representative is None):
        raise UsageError(
            f"the recipe {recipe.name} needs representative images", "pass --representative CSV"
        )


def set_warnings(
    sets: Sets | None,
    representative: Sequence[PreparedImage],
    proof: Sequence[PreparedImage],
) -> tuple[str, ...]:
    """What makes a calibration on ``representative`` doubtful, a sentence each."""
    if not representative or sets is None or sets.representative is None:
        return ()
    own = check_representative(representative, sets.representative.source)
    return (*own, *(compare_sets(representative, proof) if proof else ()))
