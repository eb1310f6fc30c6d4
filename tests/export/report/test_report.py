"""The page of a verification: whole, escaped, the same each time, and without a foreign address."""

from __future__ import annotations

import base64
import io
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lesionlite_export.comparability import Side
from lesionlite_export.flip_groups import GroupFlips
from lesionlite_export.gate import judge
from lesionlite_export.layers.causes import Cause
from lesionlite_export.layers.result import (
    Inputs,
    Layer,
    LayerReport,
    NamedCause,
    NamedLayer,
    Reference,
)
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.matrix.pairs import pairs_of
from lesionlite_export.matrix.process import CRASHED, DONE, Outcome
from lesionlite_export.matrix.result import Matrix
from lesionlite_export.matrix.row_result import RowResult
from lesionlite_export.matrix.rows import rows_of
from lesionlite_export.matrix.subject import Subject
from lesionlite_export.matrix.tolerances import default_tolerances
from lesionlite_export.matrix.verdict import judge_matrix
from lesionlite_export.parity import ScoreParity
from lesionlite_export.pictures.backends import backend_cells, backend_heat_map
from lesionlite_export.pictures.catalogue import (
    layer_picture,
    matrix_picture,
    verification_pictures,
)
from lesionlite_export.pictures.layers import layer_errors
from lesionlite_export.report.matrix import matrix_page
from lesionlite_export.report.render import check_jinja, page_html
from lesionlite_export.report.verification import verification_page
from lesionlite_export.representative import Unusable
from lesionlite_export.score_figures import ScoreFigures
from lesionlite_export.verification_rendering import verification_lines
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.door import open_model
from lesionlite_runtime.errors import MissingHere, UnusableInput, printable
from lesionlite_runtime.result import RESEARCH_NOTE

from ..test_verification_docs import (  # noqa: TID252 (no package to name)
    one_label,
    regression,
    several_labels,
    two_labels,
)

Make = Callable[[Path], Verification]
HOSTILE = (
    "<script>alert('x')</script><img src=http://a.b/c onerror=\"x\">\u202e&amp;{{ 7*7 }}\n\x1b[2J"
)
LONG = "x" * 20_000
VOID = {"meta", "link", "img", "br"}


class Parsed(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(page.decode("utf-8"))
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """It closes what was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text, but for styles."""
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        """The words of the page, spaces as one."""
        return " ".join(" ".join(self.words).split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


def layer(operator: int, name: str, added: float | None) -> Layer:
    return Layer(
        operator, "CONV_2D", name, (name,), "t", "int8", 30.0, 0.99, 0.1, 30.0, added, 0.1, {}, None
    )


def layers(name: str = "stem") -> LayerReport:
    """Four operators: one without error, a jump, a damaged one, one of no signal."""
    rows = (
        layer(0, "scaling", None),
        layer(1, name, 20.0),
        layer(2, f"{name}_dw", 40.0),
        layer(3, "last", -200.0),
    )
    cause = Cause("weights_changed", True, f"weights of {name}")
    named = (
        NamedLayer(rows[1], (), True, True, None),
        NamedLayer(rows[2], (NamedCause(cause, None),), False, False, None),
    )
    return LayerReport(
        f"{name}.tflite",
        "a" * 12,
        Reference(f"{name}.keras", "keras", 1e-6),
        "LiteRT, XNNPACK",
        Inputs(4, 18, 0, "0" * 64),
        rows,
        named,
    )


@pytest.fixture
def matrix(shipped_model: Path) -> Matrix:
    """Four rows on four images: two equal to the bit, one apart, one that crashed."""
    reference = np.array([[0.05], [0.2], [0.3], [0.08]])
    subject = Subject(
        open_model(shipped_model),
        ("a.jpg", "b.jpg", "c.jpg", "d.jpg"),
        np.array([0, 1, 1, 0]),
        reference,
        HOSTILE,
    )
    places = {row.name: row for row in rows_of(())}
    rows = []
    for name, off in (
        ("litert-xnnpack/1", 0.01),
        ("litert-xnnpack/2", 0.01),
        ("litert-builtin/1", 0.02),
        ("tensorflow/1", None),
    ):
        if off is None:
            rows.append(RowResult(places[name], (0, 1, 2, 3), 60.0, Outcome(CRASHED, HOSTILE)))
            continue
        table = reference + off
        limits = judge(subject.parity(table, (0, 1, 2, 3)), {"flip_rate": None})
        outcome = Outcome(DONE, outputs=table, invoke_ms=1.0)
        rows.append(
            RowResult(places[name], (0, 1, 2, 3), 60.0, outcome, None, table, limits, True, 0, 0)
        )
    pairs = tuple(pairs_of(subject, rows))
    verdict = judge_matrix(rows, pairs, default_tolerances(True), {"flip_rate": None}, named=True)
    bad = Unusable(LabelledImage(Path("b.jpg"), 0, ""), UnusableInput(HOSTILE, "", "b.jpg"))
    return Matrix(subject, tuple(rows), pairs, verdict, None, (HOSTILE,), (bad,))


def page_of(result: Verification, report: LayerReport | None = None) -> bytes:
    pictures = [*verification_pictures(result)]
    if report is not None:
        pictures.append(layer_picture(report))
    return page_html(verification_page(result, report, pictures))


def hostile(result: Verification, words: str) -> Verification:
    """``result`` with ``words`` wherever a text comes from outside."""
    side = Side("keras", f"{words}.keras", words, words, words, 0.5)
    proof, parity, figures = result.proof_set, result.parity, result.figures
    assert proof is not None
    assert isinstance(parity, ScoreParity)
    assert isinstance(figures, ScoreFigures)
    images = tuple(
        replace(image, path=Path(f"{words}{i}.jpg"), class_name=f"{words}{i % 2}")
        for i, image in enumerate(proof.images)
    )
    group = next(iter(figures.groups["class"]))
    groups = {words: (GroupFlips(words, group.n, group.counts),)}
    kind = next(iter(proof.unlike))
    return replace(
        result,
        reference=side,
        candidate=replace(side, kind="tflite", file=f"{words}.tflite"),
        backend=words,
        parity=replace(parity, files=tuple(str(image.path) for image in images)),
        figures=replace(figures, groups=groups),
        proof_set=replace(proof, source=words, images=images, unlike={kind: (words,)}),
        warnings=(words,),
        unusable=(Unusable(images[0], UnusableInput(words, words, words)),),
        faults=(UnusableInput(words, words, words),),
        tools=MappingProxyType({words: words}),
    )


def assert_alone(page: bytes) -> Parsed:
    """The page fetches nothing, runs nothing, and its pictures are pictures."""
    parsed = Parsed(page)
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"script", "iframe", "object", "embed", "form", "base", "video", "svg"}
    policy = next(one for one in parsed.of("meta") if one.get("http-equiv"))
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    for tag, attributes in parsed.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        for name in ("src", "href"):
            address = attributes.get(name) or "#"
            assert address.startswith(("#", "data:,", "data:image/png;base64,")), (tag, address)
    style = page.decode().partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    for image in parsed.of("img"):
        assert image["alt"]
        data = base64.b64decode(str(image["src"]).partition(",")[2], validate=True)
        with Image.open(io.BytesIO(data)) as opened:
            opened.verify()
    return parsed


@pytest.mark.parametrize("make", [two_labels, one_label, several_labels, regression])
def test_every_kind_of_result_is_one_whole_page(make: Make, tmp_path: Path) -> None:
    result = make(tmp_path)
    page = page_of(result)
    parsed = assert_alone(page)
    assert page == page_of(result)
    assert "Failed: the file does not decide like its reference within the limits." in parsed.text
    for failure in result.verdict.failures:
        assert failure[1:] in parsed.text
    for line in verification_lines(result):
        assert " ".join(line.split()) in parsed.text
    for message in (*(item.error for item in result.unusable), *result.faults, *result.warnings):
        assert str(message) in parsed.text
    for tool, version in result.tools.items():
        assert f"{tool} {version}" in parsed.text
    assert RESEARCH_NOTE in parsed.text
    anchors = {str(one["href"])[1:] for one in parsed.of("a")}
    assert anchors == {one["id"] for one in parsed.of("section")}


def test_the_figures_of_the_text_are_the_terms_of_the_page(tmp_path: Path) -> None:
    page = page_of(two_labels(tmp_path)).decode()
    terms = page.partition('id="figures"')[2].partition("<table>")[0]
    assert re.findall("<dt>(.*?)</dt>", terms) == [
        "decisions",
        "scores",
        "Keras",
        "file",
        "difference",
        "McNemar",
        "ranks",
        "levels",
        "power",
        "worst",
    ]
    assert terms.count("<dd>") == 18


def test_a_result_that_passed_says_so(tmp_path: Path) -> None:
    result = regression(tmp_path)
    passed = replace(result, verdict=judge(result.parity, {}), unusable=(), faults=(), warnings=())
    text = Parsed(page_of(passed)).text
    assert "Passed: the file decides like its reference within the limits." in text
    assert "Failed" not in text
    assert "could not be used" not in text
    other = replace(passed.candidate, network_sha256="2" * 64)
    two = Parsed(page_of(replace(passed, candidate=other))).text
    assert "this compares two models, not a model with its export" in two


def test_nothing_from_outside_becomes_part_of_the_page(tmp_path: Path) -> None:
    result = two_labels(tmp_path)
    plain, bad = (
        Parsed(page_of(result, layers())),
        page_of(hostile(result, HOSTILE), layers(HOSTILE)),
    )
    parsed = assert_alone(bad)
    for tag in {tag for tag, _ in parsed.tags} - {"td", "tr", "th", "p", "dt", "dd"}:
        kinds = len(plain.of(tag)), len(parsed.of(tag))
        if tag not in ("a", "section", "h2", "div", "table", "thead", "tbody", "caption"):
            assert kinds[0] == kinds[1], tag
    text = bad.decode()
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "49" not in [cell.strip() for cell in parsed.words]
    shown = " ".join(printable(HOSTILE).split())
    for place in (
        "warnings",
        "compared",
        "flips",
        "groups",
        "layers",
        "unusable",
        "tools",
    ):
        section = text.partition(f'<section id="{place}"')[2].partition("</section>")[0]
        assert shown in Parsed(f"<p>{section.partition('>')[2]}</p>".encode()).text, place


def test_long_names_are_all_there(tmp_path: Path) -> None:
    parsed = assert_alone(page_of(hostile(two_labels(tmp_path), LONG), layers(LONG)))
    assert LONG in parsed.text


def test_layers_are_bars_of_the_error_that_they_add() -> None:
    axes = layer_errors(layers()).axes[0]
    tops = {
        round(float(bar.get_x() + bar.get_width() / 2)): (
            float(bar.get_y() + bar.get_height()),
            container.get_label(),
        )
        for container in axes.containers
        for bar in container
    }
    assert {place: label for place, (_, label) in tops.items()} == {
        1: "added by named layers",
        2: "added by damaged layers",
        3: "added by other layers",
    }
    assert [tops[i][0] for i in (1, 2, 3)] == pytest.approx([10.0, 1.0, 1000.0])
    assert [text.get_text() for text in axes.texts] == ["stem", "stem\\_dw".replace("\\", "")]


def test_the_layers_of_a_report_are_in_its_table(tmp_path: Path) -> None:
    text = Parsed(page_of(two_labels(tmp_path), layers())).text
    assert "starts at stem (CONV_2D, operator 1): given 30.0, adds 20.0 dB" in text
    assert "DAMAGED: weights of stem" in text
    assert "1 CONV_2D stem 30.0 0.99000 0.1 30.0 20.0 jump most" in text


def test_the_heat_map_tells_equal_to_the_bit_from_small(matrix: Matrix) -> None:
    names, cells = backend_cells(matrix)
    assert names == (
        "keras",
        "litert-xnnpack/1",
        "litert-xnnpack/2",
        "litert-builtin/1",
        "tensorflow/1",
    )
    assert cells[2, 1].state == "equal"
    assert cells[3, 1].state == "apart"
    assert cells[3, 1].difference == pytest.approx(0.01)
    assert {cells[4, earlier].state for earlier in range(4)} == {"absent"}
    axes = backend_heat_map(matrix).axes[0]
    faces = {
        (round(patch.get_y() + 0.5), round(patch.get_x() + 0.5)): patch.get_facecolor()
        for patch in axes.patches
        if hasattr(patch, "get_x")
    }
    words = {
        (round(text.get_position()[1]), round(text.get_position()[0])): text.get_text()
        for text in axes.texts
    }
    assert words[2, 1] == "="
    assert words[3, 1] == "0.01"
    assert words[4, 1] == ""
    assert faces[2, 1] not in [face for place, face in faces.items() if place != (2, 1)]
    assert [tick.get_text() for tick in axes.get_yticklabels()][-1] == "tensorflow/1 (crashed)"


def test_a_matrix_is_one_whole_page(matrix: Matrix) -> None:
    pictures = [matrix_picture(matrix)]
    page = page_html(matrix_page(matrix, pictures))
    parsed = assert_alone(page)
    assert page == page_html(matrix_page(matrix, [matrix_picture(matrix)]))
    assert "Failed: the backends do not all decide alike" in parsed.text
    assert "3 of 4 rows gave scores" in parsed.text
    assert "A litert-xnnpack/1, litert-xnnpack/2: bit-equal" in parsed.text
    assert " ".join(printable(f"crashed: {HOSTILE}").split()) in parsed.text
    assert RESEARCH_NOTE in parsed.text


def test_without_jinja_there_is_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingHere, match=r"pip install 'lesionlite\[report\]'"):
        check_jinja()


def test_the_template_trusts_nothing() -> None:
    folder = Path(str(sys.modules["lesionlite_export.report"].__file__)).parent
    text = (folder / "page.html").read_text("utf-8")
    assert not re.search(r"\|\s*safe|autoescape|markup", text, re.IGNORECASE)
    unquoted: list[Any] = re.findall(r"=\{\{", text)
    assert not unquoted
