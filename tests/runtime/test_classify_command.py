"""``lesionlite classify``: every photo in its line, and codes that a script can act on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lesionlite_runtime.cli import main
from lesionlite_runtime.result import RESEARCH_NOTE

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]


@pytest.fixture
def classify(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``lesionlite classify``: (exit code, stdout, stderr)."""

    def call(*arguments: str | Path) -> Outcome:
        code = main(["classify", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return call


@pytest.fixture
def bad(tmp_path: Path) -> list[Path]:
    """A text named .jpg, an empty file, and a file that is not there."""
    (tmp_path / "text.jpg").write_text("This is no photo.")
    (tmp_path / "empty.jpg").touch()
    return [tmp_path / name for name in ("text.jpg", "empty.jpg", "missing.jpg")]


def test_good_photos_have_a_line_each_and_code_0(classify: Run, drawn_photos: list[Path]) -> None:
    code, out, err = classify(*drawn_photos)
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[-1] == RESEARCH_NOTE
    for photo, line in zip(drawn_photos, lines[:-1], strict=True):
        assert line.startswith(f"{photo}: score 0.")


def test_json_lines_parse_and_are_nothing_else(classify: Run, drawn_photos: list[Path]) -> None:
    code, out, err = classify(*drawn_photos, "--json")
    results = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [result["file"] for result in results] == [str(photo) for photo in drawn_photos]
    assert {result["schema"] for result in results} == {"lesionlite.result/1"}
    assert {result["decision"] for result in results} == {"refer", "no_referral"}


def test_a_folder_s_photos_are_taken(classify: Run, drawn_photos: list[Path]) -> None:
    code, out, _ = classify(drawn_photos[0].parent, "-q")
    assert code == 0
    assert len(out.splitlines()) == len(drawn_photos)


def test_quiet_leaves_the_note_out(classify: Run, drawn_photos: list[Path]) -> None:
    _, out, _ = classify(drawn_photos[0], "--quiet")
    assert RESEARCH_NOTE not in out


@pytest.mark.parametrize(("threshold", "decision"), [("0", "refer"), ("1", "no_referral")])
def test_the_threshold_can_be_set(
    classify: Run, drawn_photos: list[Path], threshold: str, decision: str
) -> None:
    code, out, _ = classify(*drawn_photos, "--json", "--threshold", threshold)
    results = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert {result["decision"] for result in results} == {decision}
    assert {result["threshold"] for result in results} == {float(threshold)}


@pytest.mark.parametrize("threshold", ["-0.1", "1.1", "nan", "inf"])
def test_a_threshold_out_of_range_is_wrong_usage(
    classify: Run, drawn_photos: list[Path], threshold: str
) -> None:
    code, out, err = classify(drawn_photos[0], "--threshold", threshold)
    assert (code, out) == (2, "")
    assert err == (
        f"lesionlite: the threshold {float(threshold)} is out of range; pass a number from 0 to 1\n"
    )


def test_one_bad_photo_among_good_ones_has_code_4(
    classify: Run, drawn_photos: list[Path], bad: list[Path]
) -> None:
    code, out, err = classify(drawn_photos[0], bad[0], drawn_photos[1])
    assert code == 4
    assert [line.partition(":")[0] for line in out.splitlines()[:-1]] == [
        str(drawn_photos[0]),
        str(drawn_photos[1]),
    ]
    reason, summary = err.splitlines()
    assert reason.startswith(f"lesionlite: {bad[0]}: this is no JPEG")
    assert summary == "lesionlite: 1 of 3 photos could not be used; see the reasons above"


def test_a_bad_photo_has_its_own_line_of_json(
    classify: Run, drawn_photos: list[Path], bad: list[Path]
) -> None:
    code, out, _ = classify(*bad, drawn_photos[0], "--json")
    *failures, result = [json.loads(line) for line in out.splitlines()]
    assert code == 4
    assert result["file"] == str(drawn_photos[0])
    for path, failure in zip(bad, failures, strict=True):
        assert failure["file"] == str(path)
        assert failure["error"]["code"] == "unusable_input"
        assert failure["error"]["message"].startswith(f"{path}: ")
        assert not {"score", "decision", "sha256"} & set(failure)


def test_only_bad_photos_have_code_5(classify: Run, bad: list[Path]) -> None:
    code, out, err = classify(*bad, "-q")
    assert (code, out) == (5, "")
    assert err.splitlines()[-1] == (
        "lesionlite: none of 3 photos could be used; see the reasons above"
    )
    assert len(err.splitlines()) == 4


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("option", [[], ["--json"]])
def test_one_bad_photo_alone_has_code_5_and_its_reason_once(
    classify: Run, bad: list[Path], number: int, option: list[str]
) -> None:
    code, out, err = classify(bad[number], *option)
    assert code == 5
    assert err.startswith(f"lesionlite: {bad[number]}: ")
    assert err.count("\n") == 1
    assert len(out.splitlines()) == len(option)


def test_a_folder_without_photos_has_code_5(classify: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    code, out, err = classify(tmp_path)
    assert (code, out) == (5, "")
    assert err == f"lesionlite: {tmp_path}: there is no image in this folder; name another\n"


def test_a_bad_model_has_code_5_before_any_photo(
    classify: Run, drawn_photos: list[Path], tmp_path: Path, regression_file: Path
) -> None:
    text = tmp_path / "model.tflite"
    text.write_text("no model")
    for model in (text, tmp_path / "missing.tflite", regression_file, drawn_photos[0]):
        code, out, err = classify(*drawn_photos, "-m", model)
        assert (code, out) == (5, "")
        assert err.startswith(f"lesionlite: {model}: ")
        assert err.count("\n") == 1


def test_a_model_can_be_named_and_an_unproved_one_says_so(
    classify: Run, drawn_photos: list[Path], tiny_classifier: Any, tmp_path: Path
) -> None:
    path = tmp_path / "unproved.tflite"
    path.write_bytes(tiny_classifier.file(body={**tiny_classifier.body(), "parity": None}))
    code, out, _ = classify(drawn_photos[0], "--model", path, "-q")
    assert code == 0
    assert out.endswith(" · this model is unproved\n")
    _, out, _ = classify(drawn_photos[0], "--model", path, "--json")
    assert json.loads(out)["findings"] == ["unproved_model"]


def test_a_model_of_several_labels_gives_a_label_a_photo(
    classify: Run, drawn_photos: list[Path], labels_file: Path
) -> None:
    code, out, err = classify(*drawn_photos, "-m", labels_file)
    *lines, note = out.splitlines()
    assert (code, err, note) == (0, "", RESEARCH_NOTE)
    for photo, line in zip(drawn_photos, lines, strict=True):
        assert line.startswith(f"{photo}: red (red 0.")  # drawn on skin
    code, out, err = classify(*drawn_photos, "-m", labels_file, "--json")
    results = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [result["file"] for result in results] == [str(photo) for photo in drawn_photos]
    assert {result["schema"] for result in results} == {"lesionlite.labels_result/1"}
    for result in results:
        assert result["decision"] == max(result["scores"], key=result["scores"].get) == "red"
        assert list(result["scores"]) == ["red", "green", "blue"]
        assert "threshold" not in result


def test_no_label_may_be_decided_for(
    classify: Run, drawn_photos: list[Path], tiny_labels: Any, tmp_path: Path
) -> None:
    values = {"red": 1, "green": 1, "blue": 1}
    body = {**tiny_labels.body(), "threshold": {"values": values, "rule": "by hand"}}
    path = tmp_path / "strict.tflite"
    path.write_bytes(tiny_labels.file(body=body))
    code, out, _ = classify(drawn_photos[0], "-m", path, "-q")
    assert code == 0
    assert out.startswith(f"{drawn_photos[0]}: no label (red 0.")
    _, out, _ = classify(drawn_photos[0], "-m", path, "--json")
    assert json.loads(out)["decision"] is None


def test_a_bad_photo_keeps_the_schema_of_several_labels(
    classify: Run, drawn_photos: list[Path], labels_file: Path, bad: list[Path]
) -> None:
    code, out, err = classify(bad[0], drawn_photos[0], "-m", labels_file, "--json")
    failure, result = [json.loads(line) for line in out.splitlines()]
    assert code == 4
    assert failure["schema"] == result["schema"] == "lesionlite.labels_result/1"
    assert failure["error"]["code"] == "unusable_input"
    assert err.splitlines()[-1].endswith("1 of 2 photos could not be used; see the reasons above")


def test_a_model_of_several_labels_takes_no_threshold(
    classify: Run, drawn_photos: list[Path], labels_file: Path
) -> None:
    code, out, err = classify(drawn_photos[0], "-m", labels_file, "--threshold", "0.5")
    assert (code, out) == (2, "")
    assert err == (
        f"lesionlite: {labels_file}: this model tells several labels apart and takes no threshold; "
        "leave out --threshold\n"
    )


def test_a_backend_that_is_absent_has_code_6(
    classify: Run, drawn_photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for option in ([], ["--backend", "litert"]):
        code, out, err = classify(drawn_photos[0], *option)
        assert (code, out) == (6, "")
        assert err == (
            "lesionlite: the interpreter litert is not installed; run pip install ai-edge-litert\n"
        )


@pytest.mark.parametrize(
    "name", [b"two\nlines.jpg", b"\x1b[31mred\x1b[0m.jpg", b"caf\xe9.jpg", b"tab\t.jpg", b"-q.jpg"]
)
def test_odd_names_break_no_line(
    classify: Run, drawn_photos: list[Path], tmp_path: Path, name: bytes
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    path.write_bytes(drawn_photos[0].read_bytes())
    bad = path.with_name(path.name + ".txt.jpg")
    bad.write_text("no photo")
    code, out, err = classify(path, bad, "-q")
    assert code == 4
    assert (out.count("\n"), err.count("\n")) == (1, 2)
    assert out[:-1].isprintable()
    assert err.replace("\n", "").isprintable()
    code, out, _ = classify(path, bad, "--json")
    results = [json.loads(line) for line in out.splitlines()]
    assert [result["file"] for result in results] == [str(path), str(bad)]


def test_a_photo_that_vanishes_is_reported_and_the_others_done(
    classify: Run, drawn_photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lesionlite_runtime import image_model

    copies = [tmp_path / photo.name for photo in drawn_photos[:3]]
    for photo, copy in zip(drawn_photos[:3], copies, strict=True):
        copy.write_bytes(photo.read_bytes())
    read = image_model.read_file

    def take_away(path: Path, max_bytes: int) -> bytes:
        copies[1].unlink(missing_ok=True)
        return read(path, max_bytes)

    monkeypatch.setattr(image_model, "read_file", take_away)
    code, out, err = classify(tmp_path, "-q")
    assert code == 4
    assert len(out.splitlines()) == 2
    assert f"{copies[1]}: no such file or directory" in err


def test_a_bar_shows_on_a_terminal_alone(
    classify: Run, drawn_photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lesionlite_runtime.commands import classify as room

    class Terminal:
        """A stream with the answers of a terminal."""

        def __init__(self, stream: Any, answer: bool) -> None:
            self._stream, self._answer = stream, answer

        def isatty(self) -> bool:
            return self._answer

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

    for out, err, options, shown in (
        (False, True, [], True),
        (False, True, ["-q"], False),
        (False, False, [], False),
        (True, True, [], False),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(room.sys, "stdout", Terminal(room.sys.stdout, out))
            patch.setattr(room.sys, "stderr", Terminal(room.sys.stderr, err))
            code, _, written = classify(*drawn_photos, *options)
        assert code == 0
        assert ("100%" in written) is shown
