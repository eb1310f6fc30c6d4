"""Raw outputs as scores, and outputs that no score can come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runtime.drafts import binary_draft, labels_draft

from lesionlite_export.raw_scores import check_raw, scores_of
from lesionlite_runtime.draft import ImageDraft, RegressionDraft, draft_of_json
from lesionlite_runtime.errors import UnusableInput


def draft_of(body: Any) -> ImageDraft:
    draft = draft_of_json(body, None)
    assert not isinstance(draft, RegressionDraft)
    return draft


def two(values: str, units: int, score_of: str = "malignant") -> ImageDraft:
    return draft_of(binary_draft(output={"values": values, "units": units, "score_of": score_of}))


def test_scores_by_hand() -> None:
    one, pair = np.array([[0.25], [0.75]]), np.array([[0.3, 0.7], [0.9, 0.1]])
    assert scores_of(one, two("sigmoid", 1)).tolist() == [0.25, 0.75]
    assert scores_of(one, two("sigmoid", 1, "benign")).tolist() == [0.75, 0.25]
    assert scores_of(pair, two("softmax", 2)).tolist() == [0.7, 0.1]
    assert scores_of(pair, two("softmax", 2, "benign")).tolist() == [0.3, 0.9]
    logits = np.log(np.array([[1.0, 3.0]]))
    assert scores_of(logits, two("softmax_logits", 2)) == pytest.approx([0.75])
    assert scores_of(logits, two("sigmoid_logits", 2)) == pytest.approx([0.75])
    assert scores_of(logits[:, :1], two("sigmoid_logits", 1)) == pytest.approx([0.5])
    three = np.log(np.array([[1.0, 2.0, 5.0]]))
    found = scores_of(three, draft_of(labels_draft(output={"values": "softmax_logits"})))
    assert found.tolist() == [pytest.approx([0.125, 0.25, 0.625])]


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2), min_size=1, max_size=5))
def test_logits_of_any_size_give_scores(rows: list[list[float]]) -> None:
    for values in ("softmax_logits", "sigmoid_logits"):
        scores = scores_of(np.array(rows), two(values, 2))
        assert np.isfinite(scores).all()
        assert scores.min() >= 0
        assert scores.max() <= 1


PAIR = [[0.3, 0.7], [0.9, 0.1]]


@pytest.mark.parametrize(
    ("raw", "draft", "words"),
    [
        ([[0.5], [float("nan")]], two("sigmoid", 1), "NaN or infinity for 1 of 2 images, b.jpg"),
        ([[0.5], [float("inf")]], two("sigmoid_logits", 1), "NaN or infinity for 1 of 2 images"),
        (
            [[-2.0], [0.5]],
            two("sigmoid", 1),
            "numbers from -2 to 0.5, which are no scores; say sig",
        ),
        ([[-2.0, 3], [1, 0.5]], two("softmax", 2), "say softmax_logits in the draft"),
        (
            [[0.2, 0.2], [1, 1]],
            two("softmax", 2),
            "add up to 0.4 to 2, and those of a softmax to 1",
        ),
        (PAIR, two("softmax_logits", 2), "they are scores already; say softmax in the draft"),
        (
            [[0.2, 0.2, 0.6]] * 2,
            draft_of(labels_draft(output={"values": "softmax_logits"})),
            "the 3 outputs for an image add up to 1",
        ),
    ],
)
def test_what_no_score_can_come_from_is_refused(
    raw: list[list[float]], draft: ImageDraft, words: str
) -> None:
    with pytest.raises(UnusableInput) as caught:
        check_raw(np.array(raw), draft, ["a.jpg", "b.jpg"], "m.keras")
    assert str(caught.value).startswith("m.keras: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "draft"),
    [
        ([[0.0], [1.0005]], two("sigmoid", 1)),
        (PAIR, two("softmax", 2)),
        (PAIR, two("sigmoid", 2)),
        ([[0.2, 0.2], [1, 1]], two("sigmoid", 2)),
        ([[-2.0], [0.5]], two("sigmoid_logits", 1)),
        ([[-2.0, 3.0]], two("softmax_logits", 2)),
        ([[0.5, 0.2]], two("softmax_logits", 2)),
    ],
)
def test_what_the_draft_says_passes_without_a_word(
    raw: list[list[float]], draft: ImageDraft
) -> None:
    assert check_raw(np.array(raw), draft, ["a.jpg", "b.jpg"], "m.keras") == []


def test_logits_within_0_to_1_are_told() -> None:
    (told,) = check_raw(np.array([[0.1], [0.9]]), two("sigmoid_logits", 1), ["a", "b"], "m")
    assert "all outputs of the network lie in 0 to 1 (0.1 to 0.9)" in told
