"""The same figures by class, and by age, sex, site and skin type where the manifest has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlite_export.groups import FEWEST, SUBGROUP_COLUMNS, group_of, group_order
from lesionlite_export.manifest import UNKNOWN, LabelledImage
from lesionlite_export.sample import Sample
from lesionlite_export.statistics import auc, interval_json, share
from lesionlite_runtime.contract_fields import Interval
from lesionlite_training.evaluation.figures import Figures, measure


@dataclass(frozen=True)
class Subgroup:
    """The figures of the images that agree in one column of the manifest."""

    name: str
    figures: Figures

    @property
    def too_few(self) -> bool:
        """Whether one label has fewer than `FEWEST` images."""
        positives = self.figures.positives
        return min(positives, self.figures.n - positives) < FEWEST

    def to_json(self) -> dict[str, Any]:
        """The name, `too_few` and the figures."""
        return {"name": self.name, "too_few": self.too_few, **self.figures.to_json()}


@dataclass(frozen=True)
class ClassFigures:
    """How the images of one class and label fare.

    ``auc`` is that of these images against all of the other label, ``right`` the share of right
    decisions on them.
    """

    name: str
    label: int
    n: int
    auc: Interval
    right: Interval

    def to_json(self) -> dict[str, Any]:
        """``right`` is the sensitivity of a class labelled 1, the specificity of one labelled 0."""
        right = interval_json(self.right)
        return {
            "name": self.name,
            "label": self.label,
            "n": self.n,
            "auc": interval_json(self.auc),
            "sensitivity": right if self.label else None,
            "specificity": None if self.label else right,
        }


def by_class(
    images: Sequence[LabelledImage], sample: Sample, threshold: float
) -> tuple[ClassFigures, ...]:
    """The classes by label and name, those labelled 1 first; none where no class is known.

    Both labels must be there.
    """
    if not any(image.class_name for image in images):
        return ()
    names = np.array([image.class_name or UNKNOWN for image in images])
    found = []
    for label in (1, 0):
        for name in np.unique(names[sample.labels == label]):
            these = (sample.labels == label) & (names == name)
            against = sample.where(these | (sample.labels != label))
            own = sample.where(these)
            found.append(
                ClassFigures(
                    str(name),
                    label,
                    int(these.sum()),
                    auc(against.labels, against.scores, against.clusters),
                    share((own.scores >= threshold) == (label == 1), own.clusters),
                )
            )
    return tuple(found)


def by_column(
    images: Sequence[LabelledImage], sample: Sample, threshold: float, prevalence: float
) -> dict[str, tuple[Subgroup, ...]]:
    """For each of `SUBGROUP_COLUMNS` that says anything of any image, the figures of each group.

    Ages are banded, other groups are named as they stand in the manifest; images of which the
    column says nothing are a group of their own, the last.
    """
    found = {}
    for column in SUBGROUP_COLUMNS:
        if not any(column in image.facts for image in images):
            continue
        names = np.array([group_of(image, column) for image in images])
        found[column] = tuple(
            Subgroup(name, measure(sample.where(names == name), threshold, prevalence))
            for name in sorted(map(str, np.unique(names)), key=group_order)
        )
    return found


def too_few_warnings(subgroups: Mapping[str, Sequence[Subgroup]]) -> Iterator[str]:
    """For each column a sentence that names the groups too small to say anything of."""
    for column, groups in subgroups.items():
        small = [group for group in groups if group.too_few]
        if small:
            listed = ", ".join(
                f"{group.name} ({group.figures.positives} labelled 1, "
                f"{group.figures.n - group.figures.positives} labelled 0)"
                for group in small
            )
            yield f"too few images by {column} to compare figures: {listed}"
