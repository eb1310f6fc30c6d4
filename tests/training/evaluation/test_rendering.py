"""An evaluation as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lesionlite_export.rendering import interval_text
from lesionlite_export.sample import Clustering
from lesionlite_training.evaluation.figures import measure
from lesionlite_training.evaluation.origin import OPTION, THESE_SCORES, THIS_DATA, ThresholdOrigin
from lesionlite_training.evaluation.rendering import head_lines, print_evaluation
from lesionlite_training.evaluation.result import Evaluation


@pytest.fixture
def text(evaluation: Evaluation, capsys: pytest.CaptureFixture[str]) -> str:
    print_evaluation(evaluation)
    return capsys.readouterr().out


def row(text: str, name: str) -> list[str]:
    """The cells of the row that begins with ``name``."""
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in text.splitlines()
        if line.startswith("│")
    ]
    return next(cells for cells in rows if cells[0] == name)


def test_every_figure_has_a_row_with_its_interval(text: str, evaluation: Evaluation) -> None:
    figures = evaluation.figures
    at = figures.operating
    wanted = {
        "AUC": figures.auc,
        "average precision": figures.average_precision,
        "partial AUC above 80 % sensitivity": figures.partial_auc,
        "sensitivity": at.sensitivity,
        "specificity": at.specificity,
        "balanced accuracy": figures.balanced_accuracy,
        "accuracy": figures.accuracy,
        "PPV": figures.predictive.ppv,
        "NPV": figures.predictive.npv,
        "specificity at 82 % sensitivity": figures.specificities[0.82],
        "specificity at 89 % sensitivity": figures.specificities[0.89],
        "specificity at 95 % sensitivity": figures.specificities[0.95],
        "Brier score": figures.brier,
        "expected calibration error": figures.calibration_error,
    }
    for name, interval in wanted.items():
        assert row(text, name)[1] == interval_text(interval), name
    assert row(text, "sensitivity")[2] == (
        f"{at.true_positives} referred, {at.false_negatives} missed"
    )
    assert row(text, "accuracy")[2] == "never referring gives 0.600"
    assert row(text, "PPV")[2] == "at prevalence 0.025"


def test_counts_classes_and_groups_have_tables(text: str, evaluation: Evaluation) -> None:
    at = evaluation.figures.operating
    assert row(text, "labelled 1") == [
        "labelled 1",
        str(at.true_positives),
        str(at.false_negatives),
    ]
    assert row(text, "labelled 0")[1:] == [str(at.false_positives), str(at.true_negatives)]
    assert row(text, "nevus")[1:3] == ["0", str(evaluation.classes[1].n)]
    assert row(text, "melanoma")[4].startswith("sensitivity ")
    assert row(text, "female")[1:3] == ["26", "10"]
    assert row(text, "female")[-1] == ""
    assert row(text, "unknown")[-1] == "too few to say"


def test_it_is_plain_where_it_is_no_terminal(text: str) -> None:
    assert "\x1b" not in text
    assert all(len(line) <= 160 for line in text.splitlines())


def test_the_head_says_where_the_threshold_is_from(evaluation: Evaluation) -> None:
    lines = list(head_lines(evaluation))
    assert lines == [
        "model      0123456789ab",
        "images     40, 16 of them labelled 1",
        "threshold  0.3000, the model's own, chosen by sensitivity=0.90",
    ]
    scores = replace(evaluation, model=None, score_file="oof\x1b.csv")
    assert next(head_lines(scores)) == "scores     of oof\\x1b.csv"
    scores = replace(scores, origin=ThresholdOrigin(THESE_SCORES, "youden", True))
    assert list(head_lines(scores))[2] == "threshold  0.3000, chosen on these scores by youden"
    given = replace(evaluation, origin=ThresholdOrigin(OPTION, None, False))
    assert list(head_lines(given))[2] == "threshold  0.3000, as given"
    chosen = replace(evaluation, origin=ThresholdOrigin(THIS_DATA, "sensitivity=1", True))
    assert "CHOSEN ON THESE IMAGES by sensitivity=1" in list(head_lines(chosen))[2]


@pytest.mark.parametrize(("by", "words"), [("patient_id", "patients"), ("lesion_id", "lesions")])
def test_the_head_names_clusters(by: str, words: str, evaluation: Evaluation) -> None:
    found = list(head_lines(replace(evaluation, clusters=Clustering(by, 9, None))))
    assert found[3].startswith(f"clusters   9 {words}: ")


def test_what_cannot_be_said_is_not_defined(
    evaluation: Evaluation, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = replace(evaluation, figures=measure(evaluation.sample, 1.0, 0.1), threshold=1.0)
    print_evaluation(nobody)
    assert row(capsys.readouterr().out, "PPV")[1] == "not defined"


def test_names_are_no_markup_and_no_escapes(
    evaluation: Evaluation, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = replace(evaluation.classes[0], name="[red]a\x1b[31m")
    print_evaluation(replace(evaluation, classes=(odd,), model="[bold]"))
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "[red]a\\x1b[31m" in text
    assert "model      [bold]" in text
