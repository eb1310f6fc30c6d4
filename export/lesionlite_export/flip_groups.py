"""Flips by class and by group of the manifest, and the group that fares worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.counted import Counted, counted
from lesionlite_export.groups import FEWEST, SUBGROUP_COLUMNS, group_of, group_order
from lesionlite_export.manifest import UNKNOWN, LabelledImage
from lesionlite_export.statistics import Clusters

CLASS = "class"
Mask = NDArray[np.bool_]
Kinds = Mapping[str, tuple[Mask, Mask]]
"""By its name, which images flips of a kind befall, and which of them could: masks ``[n]``."""


@dataclass(frozen=True)
class GroupFlips:
    """The flips of the ``n`` images of one group, by kind."""

    name: str
    n: int
    counts: Mapping[str, Counted]

    def to_json(self) -> dict[str, Any]:
        """Name, n and counts; a kind that could befall no image of the group is null."""
        return {
            "name": self.name,
            "n": self.n,
            **{kind: found.to_json() if found.of else None for kind, found in self.counts.items()},
        }


@dataclass(frozen=True)
class WorstGroup:
    """The group that flips of one kind befall most, and how it compares with the other images.

    ``too_few`` says that fewer than `FEWEST` images of it could be befallen.
    """

    column: str
    name: str
    found: Counted

    @property
    def too_few(self) -> bool:
        """See above."""
        return self.found.of < FEWEST

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON."""
        return {
            "column": self.column,
            "name": self.name,
            "too_few": self.too_few,
            **self.found.to_json(),
        }


def flips_by_group(
    images: Sequence[LabelledImage], kinds: Kinds, clusters: Clusters | None
) -> dict[str, tuple[GroupFlips, ...]]:
    """For ``class`` and each of `SUBGROUP_COLUMNS` that says anything, the flips of each group.

    Images of which the column says nothing are a group of their own, the last.
    """
    found = {}
    for column in (CLASS, *SUBGROUP_COLUMNS):
        names = np.array([_name(image, column) for image in images])
        if (names == UNKNOWN).all():
            continue
        found[column] = tuple(
            GroupFlips(
                name,
                int((names == name).sum()),
                {
                    kind: counted(hits, among & (names == name), clusters)
                    for kind, (hits, among) in kinds.items()
                },
            )
            for name in sorted(map(str, np.unique(names)), key=group_order)
        )
    return found


def worst_groups(
    groups: Mapping[str, Sequence[GroupFlips]], kinds: Sequence[str]
) -> dict[str, WorstGroup | None]:
    """By kind, the group with the most flips for certain; None where there is none to name.

    It is the one whose interval starts highest: 5 of 100 come before 1 of 2, and 1 of 2 before 1
    of 100. A column with one group alone compares nothing.
    """
    worst: dict[str, WorstGroup | None] = {}
    for kind in kinds:
        candidates = [
            WorstGroup(column, group.name, group.counts[kind])
            for column, members in groups.items()
            if len(members) > 1
            for group in members
            if group.counts[kind].count
        ]
        worst[kind] = max(
            candidates, key=lambda one: (one.found.rate.low, one.found.rate.value), default=None
        )
    return worst


def groups_json(groups: Mapping[str, Sequence[GroupFlips]]) -> dict[str, Any]:
    """`flips_by_group` as JSON."""
    return {column: [group.to_json() for group in members] for column, members in groups.items()}


def worst_json(worst: Mapping[str, WorstGroup | None]) -> dict[str, Any]:
    """`worst_groups` as JSON."""
    return {kind: None if one is None else one.to_json() for kind, one in worst.items()}


def _name(image: LabelledImage, column: str) -> str:
    return (image.class_name or UNKNOWN) if column == CLASS else group_of(image, column)
