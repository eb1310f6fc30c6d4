"""What comes back may be torn, wrong or missing: a sentence for each, and the rest goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.export.conformance.small_kit import SCORES, SIDE, THRESHOLD, small_kit

from lesionlite_export.conformance.judge import judge_results
from lesionlite_export.conformance.lines import LineFault, read_line
from lesionlite_export.conformance.results import Results, read_results
from lesionlite_export.kit.manifest import MANIFEST_NAME, KitFolder, read_kit
from lesionlite_export.kit.photo import Photo
from lesionlite_runtime.cli import main
from lesionlite_runtime.codec import canonical_json
from lesionlite_runtime.errors import UnusableInput, UsageError

RIGHT = [{"file": name, "score": score} for name, score in SCORES.items()]


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> KitFolder:
    return small_kit(tmp_path_factory.mktemp("small") / "kit")


def written(folder: Path, *lines: Any) -> Path:
    path = folder / "results.jsonl"
    rows = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def read(folder: Path, kit: KitFolder, *lines: Any) -> Results:
    return read_results(written(folder, *lines), kit.kit)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"file": "plain.png", "sco', "line 5: this is no valid JSON"),
        ("[1]", "it is no JSON object"),
        ('{"file": "nowhere.png", "score": 0.1}', "there is no image nowhere.png in the kit"),
        ('{"file": "plain.png", "score": 23.4}', "is it a percentage?"),
        (
            '{"file": "plain.png", "score": 1.0000001}',
            "`score` is 1.0000001, outside 0 to 1; write the score",
        ),
        ('{"file": "plain.png", "score": 1e400}', "the number 1e400 is too large"),
        ('{"file": "plain.png", "score": 1%s}' % ("0" * 400), "outside 0 to 1; write the score"),
        ('{"file": "plain.png", "score": 0.2, "tensor": "a\\u0000b"}', "is no valid path"),
        ('{"file": "plain.png", "score": NaN}', "NaN is no JSON number"),
        ('{"file": "plain.png", "score": "0.2"}', "`score` is no number"),
        ('{"file": "plain.png", "decision": "ill"}', "write refer or no_referral"),
        ('{"file": "plain.png", "decision": "refer"}', "neither a score nor pixels"),
        ('{"file": "plain.png", "pixels_sha256": "ab"}', "`pixels_sha256` is no SHA-256"),
        ('{"file": "plain.png", "score": 0.2, "model": "x"}', "is no model id"),
        ('{"file": "plain.png", "score": 0.2, "sha256": "%s"}' % ("0" * 64), "was saved anew"),
        ('{"score": 0.2}', "it has `score` and no `file`"),
        ('{"file": "plain.png", "case": "zero"}', "write a line for each"),
        ('{"case": "never", "decision": "refer"}', "there is no case 'never'"),
        ('{"case": "zero"}', "the case has no `decision`"),
        ('{"schema": "lesionlite.verify/1"}', "its schema is lesionlite.verify/1"),
        (
            '{"file": "plain.png", "pixel_sha256": "ab", "score": 0.2}',
            "did you mean `pixels_sha256`?",
        ),
    ],
)
def test_a_faulty_line_is_a_sentence_and_the_others_go_on(
    line: str, words: str, kit: KitFolder, tmp_path: Path
) -> None:
    results = read(tmp_path, kit, *RIGHT, line)
    (problem,) = results.problems[:1]
    assert words in problem
    assert problem.startswith("line")
    assert "\n" not in problem
    kept = {name for name, item in results.images.items() if item.score is not None}
    assert kept >= set(SCORES) - {"plain.png"}


def test_an_image_that_stands_there_twice(kit: KitFolder, tmp_path: Path) -> None:
    same = read(tmp_path, kit, *RIGHT, RIGHT[0])
    assert same.problems == ["lines 1 and 5: plain.png stands there twice, with the same values"]
    assert len(same.images) == 4
    other = read(tmp_path, kit, *RIGHT, {"file": "plain.png", "score": 0.3})
    assert "with different values; it is left out" in other.problems[0]
    assert set(other.images) == set(SCORES) - {"plain.png"}


def test_shared_fields_hold_for_the_lines_behind_them(kit: KitFolder, tmp_path: Path) -> None:
    shared = {"backend": "litert", "model": "0" * 12, "kit": kit.kit.digest}
    results = read(tmp_path, kit, shared, *RIGHT[:2], {"backend": "gpu"}, *RIGHT[2:])
    assert [item.line.backend for item in results.images.values()] == ["litert"] * 2 + ["gpu"] * 2


def test_windows_and_folders_are_no_obstacle(kit: KitFolder, tmp_path: Path) -> None:
    rows = [json.dumps({**row, "file": f"C:\\kit\\images\\{row['file']}"}) for row in RIGHT]
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode())
    assert len(read_results(path, kit.kit).images) == 4


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_what_powershell_writes_is_named(kit: KitFolder, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "results.jsonl"
    text = "\ufeff" + "\r\n".join(map(json.dumps, RIGHT))
    path.write_bytes(text.encode(encoding))
    with pytest.raises(UnusableInput, match=r"this is UTF-16.*; save it as UTF-8"):
        read_results(path, kit.kit)


def test_a_tensor_behind_a_loop_of_links(kit: KitFolder, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    results = read(tmp_path, kit, *RIGHT[:3], {**RIGHT[3], "tensor": "a/x"})
    assert len(results.problems) == 1
    assert len(results.images) == 4


def test_another_model_says_nothing_of_decoders(kit: KitFolder, tmp_path: Path) -> None:
    rows = [*RIGHT[:3], {"file": "photo.jpg", "score": 0.895}]
    assert any(
        "JPEGs were decoded" in n for n in judge_results(written(tmp_path, *rows), kit.path).notes
    )
    judged = judge_results(written(tmp_path, {"model": "1" * 12}, *rows), kit.path)
    assert [finding.stage for finding in judged.findings] == ["model"]
    assert not any("JPEGs were decoded" in note for note in judged.notes)


def test_a_tensor_beside_the_results(kit: KitFolder, tmp_path: Path) -> None:
    image = kit.kit.images[0]
    right = Photo(kit.image_bytes(image), kit.kit.input).tensor
    (tmp_path / "a.rgb").write_bytes(right.tobytes())
    (tmp_path / "short.rgb").write_bytes(b"abc")
    named = {"file": "plain.png", "tensor": "a.rgb"}
    judged = judge_results(written(tmp_path, named), kit.path)
    assert judged
    assert judged.pixels.equal == 1
    for name, words in (("short.rgb", f"has 3 bytes, and uint8 [{SIDE}"), ("../x", "leads out")):
        results = read(tmp_path, kit, {"file": "plain.png", "score": 0.2, "tensor": name})
        assert words in results.problems[0]
        assert results.images["plain.png"].tensor is None
    (tmp_path / "a.rgb").write_bytes(np.ascontiguousarray(right[..., ::-1]).tobytes())
    swapped = judge_results(written(tmp_path, named), kit.path).first_wrong
    assert swapped is not None
    assert (swapped.stage, swapped.mistake) == ("colour order", "bgr")


def test_what_is_missing_or_refused_is_said(kit: KitFolder, tmp_path: Path) -> None:
    refused = {"file": "photo.jpg", "error": {"code": "x", "message": "no JPEG here"}}
    judged = judge_results(written(tmp_path, *RIGHT[:2], refused), kit.path)
    assert judged
    assert not judged.is_whole
    assert judged.missing == ("turned.png",)
    assert judged.refused == {"photo.jpg": "no JPEG here"}


@pytest.mark.parametrize("lines", [(), ("no JSON",), ({"file": "x", "score": 0.1},)])
def test_results_without_a_usable_line(lines: Any, kit: KitFolder, tmp_path: Path) -> None:
    with pytest.raises(UnusableInput, match=r"there is no result of an image|the file is empty"):
        read(tmp_path, kit, *lines)


def test_results_of_another_kit(kit: KitFolder, tmp_path: Path) -> None:
    with pytest.raises(UnusableInput, match=r"these are results of another kit \(aaaaaaaaaaaa\)"):
        read(tmp_path, kit, {"kit": "a" * 64}, *RIGHT)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["file", "score", "samples", "error", "x"]), inner)
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_line_or_a_fault(value: Any) -> None:
    try:
        line, unknown = read_line(1, value, {})
    except LineFault as fault:
        said = str(fault)
    else:
        said = " ".join(unknown)
        assert line.number == 1
    assert "\n" not in said


# The kit itself


def changed(kit: KitFolder, folder: Path, **fields: Any) -> Path:
    body = json.loads((kit.path / MANIFEST_NAME).read_text()) | fields
    (folder / MANIFEST_NAME).write_bytes(canonical_json(body))
    return folder


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"schema": "lesionlite.kit/2"}, "this is a kit of version 2, and this lesionlite reads"),
        ({"schema": "lesionlite.verify/1"}, "this is no kit"),
        ({"threshold": 0.6}, "does not have the digest that it states"),
        ({"threshold": "0.6"}, "threshold must be a number"),
        ({"more": 1}, "more is no field of this schema"),
        ({"images": []}, "images must not be empty"),
    ],
)
def test_a_kit_that_cannot_be_used(
    fields: dict[str, Any], words: str, kit: KitFolder, tmp_path: Path
) -> None:
    with pytest.raises(UnusableInput, match=words):
        read_kit(changed(kit, tmp_path, **fields))


def test_a_folder_without_a_kit(tmp_path: Path) -> None:
    with pytest.raises(UnusableInput, match=r"there is no kit\.json in it"):
        read_kit(tmp_path)


def test_an_unknown_family_is_refused(kit: KitFolder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown family 'xnnpak'; did you mean xnnpack"):
        judge_results(written(tmp_path, *RIGHT), kit.path, family="xnnpak")


# The command


def conform(results: Path, kit: Path, *more: str) -> int:
    return main(["conform", str(results), "--kit", str(kit), *more])


def test_the_exit_codes(kit: KitFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conform(written(tmp_path, *RIGHT), kit.path) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "verdict      conforms"
    assert conform(written(tmp_path, *RIGHT[:2], "torn {"), kit.path) == 4
    text, error = capsys.readouterr()
    assert "missing      2 images: turned.png, photo.jpg" in text
    assert "line 3: this is no valid JSON" in error
    wrong = [*RIGHT[:2], {"file": "turned.png", "score": 0.6}, RIGHT[3]]
    assert conform(written(tmp_path, *wrong), kit.path) == 3
    text, error = capsys.readouterr()
    assert text.splitlines()[-1] == "verdict      DOES NOT CONFORM; first wrong: orientation"
    assert "first wrong: orientation (the EXIF orientation is not applied)" in error
    assert conform(written(tmp_path, "torn {"), kit.path) == 5
    assert conform(written(tmp_path, *RIGHT), tmp_path) == 5
    assert conform(written(tmp_path, *RIGHT), kit.path, "--family", "mine") == 2


def test_where_nothing_was_judged_nothing_conforms(
    kit: KitFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = [{"file": name, "error": "no memory"} for name in SCORES]
    cases = [{"case": c.case, "decision": c.decision} for c in kit.kit.rule]
    for lines, words in (
        (refused, "every line has an error (plain.png: no memory)"),
        (cases, "only cases of the rule"),
    ):
        for options in ((), ("--json",)):
            assert conform(written(tmp_path, *lines), kit.path, *options) == 5
            text, error = capsys.readouterr()
            assert text == "" or json.loads(text)["error"]["code"] == "unusable_input"
            assert words in text + error


def test_pixels_without_a_score_are_not_the_whole(
    kit: KitFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"file": i.name, "pixels_sha256": i.pixels_sha256} for i in kit.kit.images]
    assert conform(written(tmp_path, *rows), kit.path) == 4
    text, error = capsys.readouterr()
    assert "note         no scores came back: the model was not tested" in text
    assert text.splitlines()[-1] == "verdict      conforms in what came back"
    assert "no score came back" in error
    assert conform(written(tmp_path, *rows, RIGHT[0]), kit.path) == 4  # stands there twice
    rows[0]["score"] = SCORES["plain.png"]
    assert conform(written(tmp_path, *rows), kit.path) == 0


def test_json_is_one_object(
    kit: KitFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [*RIGHT[:2], {"file": "turned.png", "score": 0.6}, RIGHT[3]]
    assert conform(written(tmp_path, *wrong), kit.path, "--json") == 3
    body = json.loads(capsys.readouterr().out)
    assert body["schema"] == "lesionlite.conformance/1"
    assert body["conforms"] is False
    assert body["first_wrong"]["mistake"] == "orientation-ignored"
    assert body["first_wrong"]["images"] == ["turned.png"]
    assert [stage["status"] for stage in body["stages"]][:2] == ["passed", "wrong"]


def test_a_mistake_that_meets_one_image_does_not_explain_a_constant(
    kit: KitFolder, tmp_path: Path
) -> None:
    rows = [{"file": name, "score": 0.6} for name in SCORES]
    (finding,) = judge_results(written(tmp_path, *rows), kit.path).findings
    assert (finding.stage, finding.mistake) == ("delegate", None)
    assert "every score is 0.6" in finding.sentence


def test_a_score_that_was_rounded_to_the_threshold_is_not_judged(tmp_path: Path) -> None:
    near = THRESHOLD - 0.004
    kit = small_kit(tmp_path / "kit", {"plain.png": near, "larger.png": 0.31})
    rows = [
        {
            "file": image.name,
            "score": round(image.scores["xnnpack"], 2),
            "decision": "refer" if image.scores["xnnpack"] >= THRESHOLD else "no_referral",
        }
        for image in kit.kit.images
    ]
    assert rows[0] == {"file": "plain.png", "score": THRESHOLD, "decision": "no_referral"}
    judged = judge_results(written(tmp_path, *rows), kit.path)
    assert judged
    assert "the scores have few digits" in judged.notes[0]
    greater = {"file": "photo.jpg", "decision": "no_referral", "score": 0.9}
    judged = judge_results(written(tmp_path, *rows[:-1], greater), kit.path)
    assert [finding.stage for finding in judged.findings] == ["threshold"]


def test_a_score_that_is_the_threshold_must_be_referred(kit: KitFolder, tmp_path: Path) -> None:
    at = {"file": "plain.png", "score": THRESHOLD, "decision": "no_referral"}
    judged = judge_results(written(tmp_path, at), kit.path)
    assert any("> in place of >=" in finding.sentence for finding in judged.findings)
