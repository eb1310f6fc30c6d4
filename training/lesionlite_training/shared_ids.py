"""Patients and lesions whose images stand in more than one set: a leak that pixels do not show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lesionlite_export.manifest import Manifest

ID_COLUMNS = ("patient_id", "lesion_id")


@dataclass(frozen=True)
class SharedId:
    """An id that images of several sets have.

    Attributes:
        column: ``patient_id`` or ``lesion_id``.
        value: the id.
        counts: images with it by the place of their set, in the order of the sets.
    """

    column: str
    value: str
    counts: Mapping[int, int]

    @property
    def last(self) -> int:
        """The place of the last set that has it."""
        return max(self.counts)

    def to_json(self, splits: Sequence[str]) -> dict[str, Any]:
        """The fields as JSON, the sets by name."""
        return {
            "column": self.column,
            "id": self.value,
            "splits": [splits[place] for place in self.counts],
            "images": list(self.counts.values()),
        }


def shared_ids(manifests: Sequence[Manifest]) -> Iterator[SharedId]:
    """The ids of patients and lesions that stand in two manifests or more, by column and id."""
    for column in ID_COLUMNS:
        places: dict[str, Counter[int]] = {}
        for place, manifest in enumerate(manifests):
            for image in manifest.images:
                if column in image.facts:
                    places.setdefault(image.facts[column], Counter())[place] += 1
        for value in sorted(places):
            if len(places[value]) > 1:
                yield SharedId(column, value, dict(sorted(places[value].items())))
