"""An evaluation as text for people: a few lines, and tables."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lesionlite_runtime.contract_fields import Interval
from lesionlite_runtime.errors import printable
from lesionlite_training.calibration import BINS
from lesionlite_training.evaluation.figures import Figures
from lesionlite_training.evaluation.groups import ClassFigures, Subgroup
from lesionlite_training.evaluation.origin import CONTRACT, OPTION, THESE_SCORES
from lesionlite_training.evaluation.paired_rendering import originals_table, robustness_table
from lesionlite_training.evaluation.resampling import SENSITIVITY_FLOOR
from lesionlite_training.evaluation.result import Evaluation
from lesionlite_training.evaluation.tables import add_row, interval_text, plain_table

if TYPE_CHECKING:
    from rich.table import Table

_WIDE = 160


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the figures to stdout, as tables that are plain text where it is no terminal."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, highlight=False, width=None if terminal else _WIDE)
    for line in head_lines(evaluation):
        console.print(line, markup=False, soft_wrap=True)
    console.print(_figures_table(evaluation.figures))
    console.print(_confusion_table(evaluation.figures))
    if evaluation.classes:
        console.print(_classes_table(evaluation.classes))
    for column, groups in evaluation.subgroups.items():
        console.print(_groups_table(column, groups))
    if evaluation.robustness is not None:
        console.print(robustness_table(evaluation.robustness))
    if evaluation.originals is not None:
        console.print(originals_table(evaluation.originals))


def head_lines(evaluation: Evaluation) -> Iterator[str]:
    """Model or file of scores, images, threshold and clusters, a line each."""
    figures, clusters = evaluation.figures, evaluation.clusters
    if evaluation.model is not None:
        yield f"model      {evaluation.model}"
    else:
        yield f"scores     of {printable(str(evaluation.score_file))}"
    yield f"images     {figures.n}, {figures.positives} of them labelled 1"
    yield f"threshold  {evaluation.threshold:.4f}, {_origin(evaluation)}"
    if clusters.by is not None:
        yield (
            f"clusters   {clusters.n} {clusters.plural}: images of one are no independent "
            "ones, and the intervals say so"
        )


def _origin(evaluation: Evaluation) -> str:
    origin = evaluation.origin
    if origin.kind == CONTRACT:
        return f"the model's own, chosen by {printable(str(origin.rule))}"
    if origin.kind == OPTION:
        return "as given"
    if origin.kind == THESE_SCORES:
        return f"chosen on these scores by {printable(str(origin.rule))}"
    return f"CHOSEN ON THESE IMAGES by {printable(str(origin.rule))}"


def _figures_table(figures: Figures) -> Table:
    table = plain_table("figure", "value (95 % interval)", "note")
    counts, percent = figures.operating, f"{figures.predictive.prevalence:.3g}"
    floor = 1 - SENSITIVITY_FLOOR
    rows: list[tuple[str, Interval | None, str]] = [
        ("AUC", figures.auc, "0.5 at random"),
        (
            "average precision",
            figures.average_precision,
            f"{figures.positives / figures.n:.3f} at random",
        ),
        (
            f"partial AUC above {100 * SENSITIVITY_FLOOR:g} % sensitivity",
            figures.partial_auc,
            f"{floor**2 / 2:.2g} at random, {floor:.2g} at most",
        ),
        (
            "sensitivity",
            counts.sensitivity,
            f"{counts.true_positives} referred, {counts.false_negatives} missed",
        ),
        (
            "specificity",
            counts.specificity,
            f"{counts.true_negatives} not referred, {counts.false_positives} referred",
        ),
        ("balanced accuracy", figures.balanced_accuracy, "0.5 at random"),
        ("accuracy", figures.accuracy, f"never referring gives {figures.always_benign:.3f}"),
        ("PPV", figures.predictive.ppv, f"at prevalence {percent}"),
        ("NPV", figures.predictive.npv, f"at prevalence {percent}"),
        *(
            (f"specificity at {100 * wanted:g} % sensitivity", found, "at a threshold of its own")
            for wanted, found in figures.specificities.items()
        ),
        ("Brier score", figures.brier, "0 is best"),
        (
            "expected calibration error",
            figures.calibration_error,
            f"{BINS} bins, 0 is best",
        ),
    ]
    for name, interval, note in rows:
        add_row(table, name, interval_text(interval), note)
    return table


def _confusion_table(figures: Figures) -> Table:
    counts = figures.operating
    table = plain_table("at the threshold", "refer", "no referral")
    add_row(table, "labelled 1", str(counts.true_positives), str(counts.false_negatives))
    add_row(table, "labelled 0", str(counts.false_positives), str(counts.true_negatives))
    return table


def _classes_table(classes: Sequence[ClassFigures]) -> Table:
    table = plain_table(
        "class", "label", "images", "AUC against the other label", "decided rightly"
    )
    for one in classes:
        kind = "sensitivity" if one.label else "specificity"
        add_row(
            table,
            one.name,
            str(one.label),
            str(one.n),
            interval_text(one.auc),
            f"{kind} {interval_text(one.right)}",
        )
    return table


def _groups_table(column: str, groups: Sequence[Subgroup]) -> Table:
    table = plain_table(column, "images", "labelled 1", "AUC", "sensitivity", "specificity", "note")
    for group in groups:
        figures = group.figures
        negatives = figures.n - figures.positives
        add_row(
            table,
            group.name,
            str(figures.n),
            str(figures.positives),
            interval_text(figures.auc),
            interval_text(figures.operating.sensitivity if figures.positives else None),
            interval_text(figures.operating.specificity if negatives else None),
            "too few to say" if group.too_few else "",
        )
    return table
