"""The head: a logistic regression, and scores by heads that did not see the image."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from lesionlite_export.progress import Silent
from lesionlite_export.statistics import Labels
from lesionlite_training.folds import assign_folds
from lesionlite_training.head import SPREAD_FLOOR, Head, fit_head, fit_logits, out_of_fold

Features = NDArray[np.float32]


def data(n: int = 60, views: int = 3, size: int = 7, seed: int = 0) -> tuple[Features, Labels]:
    """Features that tell the labels apart a little, of different means and spreads."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(n) % 3 == 0).astype(np.int64)
    signal = generator.normal(size=size)
    images = generator.normal(size=(n, 1, size)) + 0.7 * labels[:, None, None] * signal
    features = images + 0.3 * generator.normal(size=(n, views, size))
    spread, mean = 10.0 ** generator.uniform(-1, 1, size), generator.normal(size=size) * 5
    return (features * spread + mean).astype(np.float32), labels


def test_it_is_scikit_learns_on_standardized_features() -> None:
    features, labels = data()
    rows = features.reshape(-1, 7).astype(np.float64)
    scaler = StandardScaler().fit(rows)
    reference = LogisticRegression(C=0.003, max_iter=1000)
    reference.fit(scaler.transform(rows), np.repeat(labels, 3), sample_weight=np.full(180, 1 / 3))
    wanted = reference.predict_proba(scaler.transform(features[:, 0]))[:, 1]
    head = fit_head(features, labels)
    assert head.weights.dtype == np.float32
    assert head.scores(features[:, 0]) == pytest.approx(wanted, abs=1e-5)


def test_an_image_counts_once_however_many_views_it_has() -> None:
    features, labels = data(views=1)
    one = fit_head(features, labels)
    four = fit_head(np.repeat(features, 4, axis=1), labels)
    assert four.weights == pytest.approx(one.weights, rel=1e-3, abs=1e-6)
    assert four.bias == pytest.approx(one.bias, rel=1e-3)


def test_a_feature_that_hardly_varies_gets_no_huge_weight() -> None:
    """Its spread would be divided by, and rounding in int8 is not as small as that."""
    features, labels = data()
    features[:, :, 0] = 1.0 + 1e-4 * labels[:, None]
    features[:, :, 1] = 2.0
    head = fit_head(features, labels, regularization=1.0)
    assert np.isfinite(head.weights).all()
    assert abs(head.weights[0]) < 1.0 / SPREAD_FLOOR
    assert head.weights[1] == 0.0


def test_strength_of_the_penalty() -> None:
    features, labels = data()
    weak, strong = (fit_head(features, labels, c) for c in (1.0, 1e-4))
    assert np.abs(strong.weights).sum() < 0.1 * np.abs(weak.weights).sum()
    assert strong.scores(features[:, 0]).mean() == pytest.approx(labels.mean(), abs=0.01)


def test_scores_of_extreme_features_are_0_and_1_without_a_word() -> None:
    head = Head(np.array([1.0], np.float32), 0.0)
    extreme = np.array([[-5000.0], [0.0], [5000.0]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert head.scores(extreme).tolist() == [0.0, 0.5, 1.0]


def test_logits_do_not_answer_to_a_change_that_is_named() -> None:
    """And are those of features that do not vary along it, once they are standardized."""
    features, labels = data(n=100)
    change = np.random.default_rng(2).normal(size=7) * features.std((0, 1))
    kernel, bias = fit_logits(features, labels, 1, 0.003, change)
    shown = features[:, 0].astype(np.float64)
    logits = shown @ kernel + bias
    assert (shown + 5 * change) @ kernel + bias == pytest.approx(logits, abs=1e-9)

    rows = features.reshape(-1, 7).astype(np.float64)
    scaler = StandardScaler().fit(rows)
    along = change / scaler.scale_
    along /= np.linalg.norm(along)
    still = np.eye(7) - np.outer(along, along)
    reference = LogisticRegression(C=0.003, max_iter=1000)
    weights = np.full(300, 1 / 3)
    reference.fit(scaler.transform(rows) @ still, np.repeat(labels, 3), sample_weight=weights)
    wanted = reference.decision_function(scaler.transform(shown) @ still)
    assert logits.ravel() == pytest.approx(wanted, abs=1e-5)
    plain, offset = fit_logits(features, labels, 1, 0.003)
    assert np.abs(logits - (shown @ plain + offset)).max() > 0.01


def test_a_change_of_nothing_leaves_the_head_as_it_is() -> None:
    features, labels = data()
    for one, other in zip(
        fit_logits(features, labels, 1, 0.003, np.zeros(7)),
        fit_logits(features, labels, 1, 0.003),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_each_score_is_by_a_head_of_the_other_folds() -> None:
    features, labels = data()
    folds = assign_folds(labels, 4, seed=5)
    held_out = out_of_fold(features, labels, folds, Silent())
    assert np.array_equal(held_out.folds, folds)
    for fold in range(4):
        outside = folds == fold
        head = fit_head(features[~outside], labels[~outside])
        assert held_out.scores[outside] == pytest.approx(head.scores(features[outside, 0]))


def test_the_label_of_an_image_does_not_reach_its_own_score() -> None:
    """Labels without any signal: scored in fold they look learnt, out of fold they do not."""
    generator = np.random.default_rng(3)
    features = generator.normal(size=(60, 2, 100)).astype(np.float32)
    labels = generator.permutation(np.repeat([0, 1], 30))
    folds = assign_folds(labels, 5, 0)
    held_out = out_of_fold(features, labels, folds, Silent(), regularization=1.0)
    inside = fit_head(features, labels, 1.0).scores(features[:, 0])
    assert roc_auc_score(labels, inside) > 0.99
    assert 0.25 < roc_auc_score(labels, held_out.scores) < 0.75
