"""Calibration: the published formulas, cross-fitted figures, and the network that carries it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from sklearn.metrics import brier_score_loss

from lesionlite_export.statistics import Labels, Scores
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_training.calibration import (
    Calibration,
    agreement,
    calibrated,
    fit_calibration,
    fold_into,
    logits_of,
    measure_calibration,
)
from lesionlite_training.folds import OutOfFold, assign_folds

Lines = tuple[Labels, Scores, Scores]


def overconfident(n: int, slope: float = 3.0, offset: float = 1.0) -> Lines:
    """Labels, scores of logits ``slope`` times too large and shifted, and the true shares."""
    generator = np.random.default_rng(5)
    logits = generator.normal(-1, 1.5, n)
    labels = (generator.uniform(size=n) < expit(logits)).astype(np.int64)
    return labels, expit(slope * logits + offset), expit(logits)


def cross_entropy(targets: Scores, logits: Scores) -> float:
    return float(-np.sum(targets * log_expit(logits) + (1 - targets) * log_expit(-logits)))


def test_platts_line_is_the_minimum_of_his_formula() -> None:
    labels, scores, _ = overconfident(200)
    logits = np.log(scores / (1 - scores))
    cases, controls = labels.sum(), np.sum(labels == 0)
    targets = np.where(labels == 1, (cases + 1) / (cases + 2), 1 / (controls + 2))
    best = minimize(lambda x: cross_entropy(targets, x[0] * logits + x[1]), [1.0, 0.0], tol=1e-12)
    line = fit_calibration(labels, scores, "platt")
    assert line.kind == "platt"
    assert (line.slope, line.intercept) == pytest.approx(tuple(best.x), abs=1e-4)
    # The smoothed targets are seen: with 0 and 1 the line is another.
    plain = minimize(lambda x: cross_entropy(labels, x[0] * logits + x[1]), [1.0, 0.0], tol=1e-12)
    assert abs(plain.x[0] - line.slope) > 1e-3


def test_the_temperature_is_the_minimum_of_the_cross_entropy() -> None:
    labels, scores, _ = overconfident(200, offset=0.0)
    logits = np.log(scores / (1 - scores))
    best = minimize(lambda x: cross_entropy(labels, x[0] * logits), [1.0], tol=1e-12)
    line = fit_calibration(labels, scores, "temperature")
    assert (line.kind, line.intercept) == ("temperature", 0.0)
    assert line.slope == pytest.approx(best.x[0], abs=1e-4)


def test_what_was_distorted_is_put_right() -> None:
    labels, scores, shares = overconfident(30_000)
    line = fit_calibration(labels, scores, "platt")
    assert line.slope == pytest.approx(1 / 3, abs=0.01)
    assert line.intercept == pytest.approx(-1 / 3, abs=0.05)
    assert np.abs(line.apply(scores) - shares).max() < 0.02
    straight = fit_calibration(labels, shares, "temperature")
    assert straight.slope == pytest.approx(1, abs=0.03)


def test_platts_line_exists_where_no_score_is_wrong() -> None:
    labels = np.repeat([0, 1], 20)
    scores = np.concatenate([np.linspace(0.1, 0.4, 20), np.linspace(0.6, 0.9, 20)])
    line = fit_calibration(labels, scores, "platt")
    assert 1 < line.slope < 10
    with pytest.raises(UnusableInput) as caught:
        fit_calibration(labels, scores, "temperature")
    assert str(caught.value) == (
        "the out-of-fold scores are on the right side of 0.5 for every image, and no temperature "
        "is too low for them; pass --calibrate platt or none"
    )


@pytest.mark.parametrize("kind", ["platt", "temperature"])
def test_scores_that_fall_with_the_labels_are_not_turned_round(kind: str) -> None:
    labels, scores, _ = overconfident(200)
    with pytest.raises(UnusableInput) as caught:
        fit_calibration(1 - labels, scores, kind)
    assert str(caught.value) == (
        "the out-of-fold scores do not rise with the labels, and a calibration would turn them "
        "round; pass --calibrate none, and look at the AUC"
    )


@pytest.mark.parametrize("kind", ["platt", "temperature"])
@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
def test_scores_that_are_all_alike_are_refused_without_a_warning(score: float, kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnusableInput, match="do not rise with the labels"):
            fit_calibration(np.arange(6) % 2, np.full(6, score), kind)


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_has_no_calibration(label: int) -> None:
    with pytest.raises(UnusableInput, match="the images have one label only; a calibration needs"):
        fit_calibration(np.full(5, label), np.linspace(0.1, 0.9, 5), "platt")


def test_an_unknown_kind_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"unknown calibration 'plat'; did you mean platt or temp"):
        fit_calibration(np.array([0, 1]), np.array([0.1, 0.9]), "plat")


def test_scores_of_0_and_1_have_finite_logits() -> None:
    scores = np.array([0.0, 5e-324, 1e-20, 0.5, 1 - 1e-16, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert logits_of(scores).tolist() == [-36, -36, -36, 0, pytest.approx(36, abs=1), 36]
        line = fit_calibration(np.array([0, 1, 0, 1, 0, 1]), scores, "platt")
    assert np.isfinite([line.slope, line.intercept]).all()


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
    st.floats(0.01, 20),
    st.floats(-20, 20),
)
def test_a_calibration_keeps_the_order(scores: list[float], slope: float, intercept: float) -> None:
    before = np.sort(np.array(scores))
    after = Calibration("platt", slope, intercept).apply(before)
    assert ((after >= 0) & (after <= 1)).all()
    assert (np.diff(after) >= 0).all()


def test_the_figures_are_of_images_outside_the_fit() -> None:
    """Computed anew here, fold by fold."""
    labels, scores, _ = overconfident(300)
    folds = assign_folds(labels, 3, 0)
    measured = measure_calibration(labels, OutOfFold(scores, folds), "platt")
    assert measured.calibration == fit_calibration(labels, scores, "platt")
    outside = np.zeros(300)
    for fold in range(3):
        others = fit_calibration(labels[folds != fold], scores[folds != fold], "platt")
        outside[folds == fold] = others.apply(scores[folds == fold])
    assert measured.before == agreement(labels, scores)
    assert measured.after == agreement(labels, outside)
    assert measured.after != agreement(labels, measured.calibration.apply(scores))
    assert measured.after.brier < measured.before.brier
    assert measured.after.ece < measured.before.ece / 2
    assert measured.to_json() == {
        "kind": "platt",
        "slope": measured.calibration.slope,
        "intercept": measured.calibration.intercept,
        "before": {"brier": measured.before.brier, "ece": measured.before.ece},
        "after": {"brier": measured.after.brier, "ece": measured.after.ece},
        "ece_bins": 10,
    }


def test_the_out_of_fold_scores_of_the_calibrated_model() -> None:
    labels, scores, _ = overconfident(60)
    held_out = OutOfFold(scores, np.arange(60) % 3)
    line = fit_calibration(labels, scores, "platt")
    after = calibrated(held_out, line)
    assert np.array_equal(after.scores, line.apply(scores))
    assert after.folds is held_out.folds


def test_agreement_by_hand() -> None:
    labels = np.array([0, 1, 0, 1, 1])
    scores = np.array([0.0, 0.05, 0.32, 0.34, 1.0])
    figures = agreement(labels, scores)
    assert figures.brier == pytest.approx(brier_score_loss(labels, scores))
    # Bins 0 to 0.1 (mean score 0.025, share 1/2), 0.3 to 0.4 (0.33, 1/2), 0.9 to 1 (1, 1).
    assert figures.ece == pytest.approx((2 * 0.475 + 2 * 0.17 + 1 * 0) / 5)


def network(*layers: Any) -> Any:
    """A Keras model of 4 numbers that ends in ``layers``."""
    import keras

    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), *layers])


@pytest.mark.tensorflow
@pytest.mark.parametrize("nested", [False, True])
def test_a_folded_network_gives_the_calibrated_score(nested: bool) -> None:
    import keras

    body = network()
    body = body if nested else body.layers[0]
    numbers = keras.Input((4,))
    model = keras.Model(numbers, keras.layers.Dense(1, activation="sigmoid")(body(numbers)))
    *others, bias = model.get_weights()
    model.set_weights([*others, bias + 0.75])
    # Not so large that a float32 score near 1 says little of its logit.
    values = np.random.default_rng(0).normal(0, 0.7, (200, 4)).astype(np.float32)
    before = np.asarray(model.predict_on_batch(values), np.float64)[:, 0]
    line = Calibration("platt", 0.37, -1.25)
    fold_into(model, line)
    after = np.asarray(model.predict_on_batch(values), np.float64)[:, 0]
    assert np.ptp(before) > 0.3
    assert after == pytest.approx(line.apply(before), abs=1e-6)
    assert np.abs(after - before).max() > 0.1


@pytest.mark.tensorflow
def test_a_temperature_needs_no_bias_and_an_intercept_does() -> None:
    import keras

    model = network(keras.layers.Dense(1, activation="sigmoid", use_bias=False))
    values = np.random.default_rng(0).normal(0, 2, (20, 4)).astype(np.float32)
    before = np.asarray(model.predict_on_batch(values), np.float64)[:, 0]
    with pytest.raises(UnusableInput, match="the network's last layer has no bias"):
        fold_into(model, Calibration("platt", 2.0, 0.5))
    line = Calibration("temperature", 2.0, 0.0)
    fold_into(model, line)
    after = np.asarray(model.predict_on_batch(values), np.float64)[:, 0]
    assert after == pytest.approx(line.apply(before), abs=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("end", ["two", "linear", "tanh", "activation", "shared", "inner"])
def test_a_network_that_ends_otherwise_is_refused_as_it_was(end: str) -> None:
    import keras

    dense = keras.layers.Dense
    if end == "shared":  # its output is another's input too
        numbers, unit = keras.Input((1,)), dense(1, activation="sigmoid")
        model = keras.Model(numbers, unit(unit(numbers)))
    elif end == "inner":
        model = network(keras.Sequential([keras.Input((3,)), dense(1, activation="sigmoid")]))
    else:
        layers = {
            "two": [dense(2, activation="sigmoid")],
            "linear": [dense(1)],
            "tanh": [dense(1, activation="tanh")],
            "activation": [dense(1), keras.layers.Activation("sigmoid")],
        }
        model = network(*layers[end])
    weights = [w.copy() for w in model.get_weights()]
    with pytest.raises(UnusableInput) as caught:
        fold_into(model, Calibration("platt", 2.0, 0.5))
    assert str(caught.value) == (
        "the network does not end in one sigmoid unit (Dense(1, activation='sigmoid')), and no "
        "calibration can be folded into it; end it in one, or pass --calibrate none"
    )
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
