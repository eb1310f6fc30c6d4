"""How often a verification's 95 % intervals hold the truth: the table of docs/verification.md.

    python benchmarks/paired_coverage.py --sets 1000 --write docs/verification.md

Sets of images are drawn whose scores by two models follow a known distribution, so that the flip
rate and the differences of all that could be drawn are known. Images come alone, or several to a
patient whose scores and score errors go together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from pages import markdown_table, put, write_option
from scipy.special import expit

from lesionlite_export.paired_statistics import share_difference
from lesionlite_export.statistics import Clusters, Labels, Scores, auc_difference, share

POPULATION = 600_000
THRESHOLD = 0.15


@dataclass(frozen=True)
class Drawn:
    """One set: labels, and scores by the reference and by the file."""

    labels: Labels
    reference: Scores
    scores: Scores
    clusters: Clusters | None


@dataclass(frozen=True)
class Setting:
    """What sets are drawn, and how they are analysed.

    Attributes:
        name: for people.
        n: images in a set; one in five or four is labelled 1.
        error: standard deviation of the score error, in logits.
        per_patient: images of each patient.
        told: whether the analysis knows patients.
    """

    name: str
    n: int
    error: float
    per_patient: int = 1
    told: bool = True

    def draw(self, generator: np.random.Generator) -> Drawn:
        """One set."""
        patients = -(-self.n // self.per_patient)

        def shared(deviation: float) -> Scores:
            return np.repeat(generator.normal(0, deviation, patients), self.per_patient)[: self.n]

        logits = -1.6 + shared(1.0) + generator.normal(0, 0.6, self.n)
        labels = (generator.random(self.n) < expit(logits)).astype(np.int64)
        half = self.error / np.sqrt(2)
        changed = logits + shared(half) + generator.normal(0, half, self.n)
        tied = self.told and self.per_patient > 1
        clusters = np.arange(self.n) // self.per_patient if tied else None
        return Drawn(labels, expit(logits), expit(changed), clusters)


SETTINGS = (
    Setting("148, few flips", 148, 0.05),
    Setting("148", 148, 0.2),
    Setting("600", 600, 0.2),
    Setting("148, 3 of a patient", 148, 0.2, 3),
    Setting("600, 3 of a patient", 600, 0.2, 3),
    Setting("the same, patients not known", 600, 0.2, 3, told=False),
    Setting("150, 15 of a patient", 150, 0.2, 15),
    Setting("150, 30 of a patient", 150, 0.2, 30),
)


def figures(drawn: Drawn) -> Iterator[tuple[str, float, float, float]]:
    """(Name, value, low, high) of each figure."""
    before, after = drawn.reference >= THRESHOLD, drawn.scores >= THRESHOLD
    flips = share(before != after, drawn.clusters)
    yield "flip rate", flips.value, flips.low, flips.high
    positive = drawn.labels == 1
    for name, among, sides in (
        ("difference of sensitivity", positive, (before, after)),
        ("difference of specificity", ~positive, (~before, ~after)),
    ):
        clusters = None if drawn.clusters is None else drawn.clusters[among]
        found = share_difference(sides[0][among], sides[1][among], clusters)
        yield name, found.value, found.low, found.high
    yield (
        "difference of AUC",
        *auc_difference(drawn.labels, drawn.scores, drawn.reference, drawn.clusters),
    )


def coverage(setting: Setting, sets: int) -> tuple[dict[str, float], dict[str, float]]:
    """The figures of a population, and the share of sets whose interval holds each."""
    everyone = Setting("all", POPULATION, setting.error).draw(np.random.default_rng(1))
    wanted = {name: value for name, value, _, _ in figures(everyone)}
    generator = np.random.default_rng(2)
    held = dict.fromkeys(wanted, 0)
    for _ in range(sets):
        for name, _, low, high in figures(setting.draw(generator)):
            held[name] += low <= wanted[name] <= high
    return wanted, {name: count / sets for name, count in held.items()}


@click.command()
@click.option("--sets", type=click.IntRange(1), default=1000, show_default=True)
@write_option
def main(sets: int, write: Path | None) -> None:
    """Print the shares as a table."""
    columns = [coverage(setting, sets) for setting in SETTINGS]
    names = list(columns[0][0])
    rows: list[list[str]] = [
        ["flip rate of all", *(f"{wanted['flip rate']:.3f}" for wanted, _ in columns)],
        *([name, *(f"{held[name]:.3f}" for _, held in columns)] for name in names),
    ]
    table = markdown_table(("images", *(setting.name for setting in SETTINGS)), rows)
    print(table)
    if write is not None:
        put(write, __file__, table)


if __name__ == "__main__":
    main()
