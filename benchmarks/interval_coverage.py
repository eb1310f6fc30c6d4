"""How often an evaluation's 95 % intervals hold the truth: the table of docs/evaluation.md.

    python benchmarks/interval_coverage.py --sets 500

Sets are drawn from a known distribution of scores, so that the figures of all that could be drawn
are known. Images come alone, or three to a patient whose scores go together. Prints Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click
import numpy as np
from scipy.special import expit

from lesionlite_export.sample import Sample
from lesionlite_export.statistics import auc, operating_point
from lesionlite_runtime.contract_fields import Interval
from lesionlite_training.evaluation.figures import Figures, measure
from lesionlite_training.evaluation.predictive import predictive_values
from lesionlite_training.evaluation.resampling import SENSITIVITIES, Weighted, specificity_at

POPULATION = 400_000
THRESHOLD = 0.15
PREVALENCE = 0.025


@dataclass(frozen=True)
class Setting:
    """What sets are drawn, and how they are analysed.

    Attributes:
        name: for people.
        n: images in a set; one in five or four is labelled 1.
        shift: how far scores are below probabilities, in logits.
        per_patient: images of each patient.
        told: whether the analysis knows patients.
    """

    name: str
    n: int
    shift: float = 0.0
    per_patient: int = 1
    told: bool = True

    def draw(self, generator: np.random.Generator) -> Sample:
        """One set."""
        patients = -(-self.n // self.per_patient)
        shared = np.repeat(generator.normal(0, 1.0, patients), self.per_patient)[: self.n]
        logits = -1.6 + shared + generator.normal(0, 0.6, self.n)
        labels = (generator.random(self.n) < expit(logits + self.shift)).astype(np.int64)
        tied = self.told and self.per_patient > 1
        return Sample(
            labels, expit(logits), np.arange(self.n) // self.per_patient if tied else None
        )


SETTINGS = (
    Setting("148", 148),
    Setting("148, scores too low", 148, 0.5),
    Setting("600", 600),
    Setting("600, scores too low", 600, 0.5),
    Setting("600, 3 of a patient", 600, 0.5, 3),
    Setting("the same, patients not known", 600, 0.5, 3, told=False),
)


def intervals(figures: Figures) -> Iterator[tuple[str, Interval | None]]:
    """Every figure by its name in JSON."""
    yield "auc", figures.auc
    yield "average_precision", figures.average_precision
    yield "partial_auc", figures.partial_auc
    yield "sensitivity", figures.operating.sensitivity
    yield "specificity", figures.operating.specificity
    yield "balanced_accuracy", figures.balanced_accuracy
    yield "accuracy", figures.accuracy
    for wanted in SENSITIVITIES:
        yield specificity_at(wanted), figures.specificities[wanted]
    yield "ppv", figures.predictive.ppv
    yield "npv", figures.predictive.npv
    yield "brier", figures.brier
    yield "expected_calibration_error", figures.calibration_error


def truth(shift: float) -> dict[str, float]:
    """The figures of a population."""
    sample = Setting("all", POPULATION, shift).draw(np.random.default_rng(1))
    labels, scores = sample.labels, sample.scores
    measures = Weighted(sample, THRESHOLD).measures(np.ones((1, POPULATION)))
    at = operating_point(labels, scores, THRESHOLD)
    predictive = predictive_values(sample, THRESHOLD, PREVALENCE)
    assert predictive.ppv is not None
    assert predictive.npv is not None
    return {name: float(found[0]) for name, found in measures.items()} | {
        "auc": auc(labels, scores).value,
        "sensitivity": at.sensitivity.value,
        "specificity": at.specificity.value,
        "accuracy": (at.true_positives + at.true_negatives) / POPULATION,
        "ppv": predictive.ppv.value,
        "npv": predictive.npv.value,
    }


def coverage(setting: Setting, sets: int) -> dict[str, float]:
    """The share of sets whose interval holds the truth, by figure."""
    generator = np.random.default_rng(2)
    wanted = truth(setting.shift)
    held = dict.fromkeys(wanted, 0)
    for _ in range(sets):
        for name, found in intervals(measure(setting.draw(generator), THRESHOLD, PREVALENCE)):
            if found is not None and found.low <= wanted[name] <= found.high:
                held[name] += 1
    return {name: count / sets for name, count in held.items()}


@click.command()
@click.option("--sets", type=click.IntRange(1), default=500, show_default=True)
def main(sets: int) -> None:
    """Print the shares as a table."""
    columns = [coverage(setting, sets) for setting in SETTINGS]
    print("| images | " + " | ".join(setting.name for setting in SETTINGS) + " |")
    print("|---" * (len(SETTINGS) + 1) + "|")
    for name, _ in intervals(measure(SETTINGS[0].draw(np.random.default_rng(0)), 0.5, 0.5)):
        print(f"| `{name}` | " + " | ".join(f"{column[name]:.3f}" for column in columns) + " |")


if __name__ == "__main__":
    main()
