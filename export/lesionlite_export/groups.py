"""Groups of images by class, and by age, sex, site and skin type where the manifest has them."""

from __future__ import annotations

import math
from itertools import pairwise

from lesionlite_export.manifest import UNKNOWN, LabelledImage

SUBGROUP_COLUMNS = ("age", "sex", "site", "skin_type")
AGE_LIMITS = (30, 45, 60, 75)
"""The years that a new band of ages begins with."""
AGE_BANDS = (
    f"<{AGE_LIMITS[0]}",
    *(f"{low}-{high - 1}" for low, high in pairwise(AGE_LIMITS)),
    f"{AGE_LIMITS[-1]}+",
)
FEWEST = 10
"""With fewer images of a label than this, a group's figures say too little to compare."""


def group_of(image: LabelledImage, column: str) -> str:
    """The group of ``image`` by ``column``; an age that is no number of years is unknown."""
    value = image.facts.get(column, "").strip()
    if not value or value.casefold() == UNKNOWN:
        return UNKNOWN
    return _age_band(value) if column == "age" else value


def group_order(name: str) -> tuple[bool, int, str]:
    """Bands of ages by age, other groups by name, what is not known last."""
    return name == UNKNOWN, AGE_BANDS.index(name) if name in AGE_BANDS else 0, name


def _age_band(value: str) -> str:
    try:
        age = float(value)
    except ValueError:
        return UNKNOWN
    if not math.isfinite(age) or age < 0:
        return UNKNOWN
    return AGE_BANDS[sum(age >= limit for limit in AGE_LIMITS)]
