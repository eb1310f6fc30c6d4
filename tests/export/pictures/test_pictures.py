"""What is drawn is what was measured."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from lesionlite_export.labels_parity import label_score_parity
from lesionlite_export.parity import ScoreParity, ValueParity
from lesionlite_export.pictures.agreement import agreement_of, bland_altman, label_agreements
from lesionlite_export.pictures.catalogue import verification_pictures
from lesionlite_export.pictures.flips import MOST, flips_gallery, flips_of
from lesionlite_export.pictures.scores import class_groups, label_scatters, score_scatter
from lesionlite_export.pictures.style import plain, png
from lesionlite_export.pictures.values import value_curves
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.contract_fields import LabelThresholds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Make = Callable[..., Verification]
HOSTILE = "<script>alert(1)</script>\u202egpj.\n\x1b[2J$\\frac{1$\ud800'\"&"


def dots(axes: Axes, label: str) -> list[tuple[float, float]]:
    """The points of the scatter whose entry in the legend starts so."""
    return [
        (round(float(x), 9), round(float(y), 9))
        for artist in axes.collections
        if str(artist.get_label()).startswith(label)
        for x, y in np.asarray(artist.get_offsets())
    ]


def lines(axes: Axes) -> dict[str, Any]:
    return {str(line.get_label()): line for line in axes.lines}


def scores_of(result: Verification) -> ScoreParity:
    assert isinstance(result.parity, ScoreParity)
    return result.parity


def all_words(figure: Any) -> str:
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_every_score_is_a_dot_of_its_class_and_every_flip_has_the_frame_of_its_kind(
    verification: Make,
) -> None:
    result = verification()
    parity = scores_of(result)
    assert result.proof_set is not None
    classes = [image.class_name for image in result.proof_set.images]
    axes = score_scatter(parity, classes).axes[0]
    pairs = [*zip(parity.score_keras.tolist(), parity.score_tflite.tolist(), strict=True)]
    assert dots(axes, "melanoma, label 1 (4)") == pairs[:4]
    assert sorted(dots(axes, "nevus, label 0 (3)")) == sorted(pairs[4:7])
    assert sorted(dots(axes, "keratosis, label 0 (3)")) == sorted(pairs[7:])
    assert dots(axes, "newly missed (2)") == pairs[1:3]
    assert dots(axes, "newly found (1)") == pairs[3:4]
    assert dots(axes, "newly referred (2)") == pairs[5:7]
    assert dots(axes, "newly spared (1)") == pairs[7:8]


def test_both_thresholds_form_the_cross_and_differing_decisions_lie_in_the_shade(
    verification: Make,
) -> None:
    parity = replace(scores_of(verification()), reference_threshold=0.35)
    axes = score_scatter(parity).axes[0]
    ends = [
        (set(map(float, one.get_xdata())), set(map(float, one.get_ydata()))) for one in axes.lines
    ]
    assert ({0.35}, {0.0, 1.0}) in ends
    assert ({0.0, 1.0}, {0.5}) in ends
    assert "thresholds 0.3500 (reference), 0.5000 (file)" in lines(axes)
    fields = [patch.get_bbox() for patch in axes.patches]
    for x, y, flipped in zip(parity.score_keras, parity.score_tflite, parity.flipped, strict=True):
        assert any(field.contains(x, y) for field in fields) == flipped


def test_the_near_panel_shows_every_flip(verification: Make) -> None:
    parity = scores_of(verification())
    near = score_scatter(parity).axes[1]
    low, high = near.get_xlim()
    bottom, top = near.get_ylim()
    assert high - low == pytest.approx(top - bottom)
    for x, y in zip(
        parity.score_keras[parity.flipped], parity.score_tflite[parity.flipped], strict=True
    ):
        assert low < x < high
        assert bottom < y < top


def test_more_classes_than_colours_become_one_group() -> None:
    labels = np.array([0] * 20)
    names = [f"c{i}" for i in range(8)] + ["c0"] * 12
    groups = class_groups(labels, names)
    assert groups[-1][0] == "2 other classes"
    assert sum(int(mask.sum()) for _, mask in groups) == 20
    assert groups[0][1].sum() == 13
    assert [name for name, _ in class_groups(np.array([0, 1]), [])] == ["label 1", "label 0"]


def test_limits_of_agreement_are_those_of_bland_and_altman(verification: Make) -> None:
    parity = scores_of(verification())
    differences = parity.score_tflite - parity.score_keras
    axes = bland_altman(parity).axes[0]
    drawn = dots(axes, "same decision") + dots(axes, "flipped")
    means = (parity.score_tflite + parity.score_keras) / 2
    assert sorted(drawn) == sorted(
        (round(float(m), 9), round(float(d), 9)) for m, d in zip(means, differences, strict=True)
    )
    bias = differences.mean()
    deviation = np.sqrt(((differences - bias) ** 2).sum() / 9)
    level = sorted(float(line.get_ydata()[0]) for line in axes.lines[1:4])
    assert level == pytest.approx(sorted([bias, bias - 1.96 * deviation, bias + 1.96 * deviation]))
    found = agreement_of(parity.score_keras, parity.score_tflite)
    assert f"bias {bias:+.4f}" in lines(axes)
    assert found.within == np.sum(np.abs(differences - bias) <= 1.96 * deviation)


def test_of_one_image_there_are_no_limits_of_agreement() -> None:
    found = agreement_of(np.array([0.2]), np.array([0.5]))
    assert (found.bias, found.low, found.high) == (pytest.approx(0.3), None, None)


def test_several_labels_have_a_panel_each() -> None:
    names = ("a", "b", "c", "d")
    scores = np.random.default_rng(0).dirichlet([1] * 4, (2, 20))
    thresholds = LabelThresholds({"a": 0.2, "b": 0.3, "c": 0.4, "d": 0.5}, "by hand")
    files = [f"{i}.jpg" for i in range(20)]
    parity = label_score_parity(
        files, names, [i % 4 for i in range(20)], scores[0], scores[1], thresholds
    )
    figure = label_scatters(parity)
    shown = [axes for axes in figure.axes if axes.axison]
    assert len(shown) == 4
    for i, axes in enumerate(shown):
        drawn = dots(axes, "images of")
        pairs = zip(scores[0][:, i].tolist(), scores[1][:, i].tolist(), strict=True)
        assert sorted(drawn) == sorted((round(x, 9), round(y, 9)) for x, y in pairs)
        assert f"threshold {thresholds.values[names[i]]:.4f}" in lines(axes)
    assert len([axes for axes in label_agreements(parity).axes if axes.axison]) == 4
    kinds = [flip.kind for flip in flips_of(parity)]
    assert kinds.count("newly_wrong") == parity.newly_wrong.sum()
    assert len(kinds) == parity.flipped.sum() > 0


def test_flips_go_from_the_largest_down(verification: Make) -> None:
    found = flips_of(scores_of(verification()))
    assert [flip.path.name for flip in found] == [
        "6.jpg",
        "2.jpg",
        "1.jpg",
        "3.jpg",
        "5.jpg",
        "7.jpg",
    ]
    assert (found[0].kind, found[0].reference, found[0].file) == (
        "newly_referred",
        "0.3000",
        "0.9000",
    )


def test_a_photo_is_read_again_and_one_that_is_gone_is_an_empty_frame(
    verification: Make, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (224, 224, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "6.png")
    files = [str(tmp_path / f"{i}.png") for i in range(10)]
    figure = flips_gallery(flips_of(scores_of(verification(files))))
    first, second = figure.axes[:2]
    assert np.array_equal(first.images[0].get_array(), pixels)
    assert "newly referred\n6.png\nKeras 0.3000\nfile 0.9000" in all_words(figure)
    assert not second.images
    assert "gone" in "".join(text.get_text() for text in second.texts)
    assert "6 flipped, largest difference first" in all_words(figure)


def test_at_most_so_many_flips_are_drawn_and_the_rest_is_counted(verification: Make) -> None:
    flips = flips_of(scores_of(verification())) * 5
    words = all_words(flips_gallery(flips))
    assert f"{MOST} of 30 flipped, largest difference first; 6 more are not shown" in words
    assert "No decision flipped." in all_words(flips_gallery([]))


def test_a_regression_is_drawn_over_its_range() -> None:
    x = np.linspace(-1, 3, 9)
    figure = value_curves(ValueParity(x, 4 * x, 4 * x + 0.06), 0.02)
    above, below = figure.axes
    assert [line.get_label() for line in above.lines] == ["Keras", "file"]
    assert np.array_equal(above.lines[1].get_ydata(), 4 * x + 0.06)
    assert np.allclose(np.asarray(below.lines[0].get_ydata(), float), 100 * 0.06 / 12)
    assert "limit ±2 %" in lines(below)


def test_pictures_are_the_same_each_time_and_survive_any_name(
    verification: Make, recwarn: pytest.WarningsRecorder
) -> None:
    files: Sequence[str] = [HOSTILE + "x" * 5000 + str(i) for i in range(10)]
    result = verification(files, [HOSTILE + str(i) * 300 for i in range(10)])
    first = [(one.name, one.png) for one in verification_pictures(result)]
    assert first == [(one.name, one.png) for one in verification_pictures(result)]
    assert [name for name, _ in first] == ["scores.png", "bland_altman.png", "flips.png"]
    for _, data in first:
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == "PNG"
            assert max(image.size) < 3000
    assert not list(recwarn)


def test_words_from_outside_are_short_and_no_formula() -> None:
    assert plain("a$b$") == r"a\$b\$"
    words = plain("x" * 100 + "end.jpg")
    assert len(words) == 40
    assert words.endswith("end.jpg")
    assert plain("\u202e\n") == r"\u202e\n"
    assert png(flips_gallery([])) == png(flips_gallery([]))
