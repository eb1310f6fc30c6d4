"""The journal: a killed run goes on where it was, and nothing else goes on from it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_export import representative
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.publish import Exported
from lesionlite_export.reference import load_reference
from lesionlite_export.representative import Unusable
from lesionlite_export.stream.journal import open_journal
from lesionlite_export.stream.options import StreamOptions
from lesionlite_export.stream.rows import ScoredImage
from lesionlite_export.verification import verify_model
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.cli import main
from lesionlite_runtime.errors import LesionliteError, UnusableInput, UsageError
from lesionlite_runtime.files import read_file

CHUNKS = 5
HEADER = {"schema": "lesionlite.journal/2", "file": "a", "data": "b"}
# Ends itself, or the whole group of its processes, once so many images are done.
CHILD = """
import os, signal, sys
import lesionlite_export.commands.verify as verify
from lesionlite_export.progress import Silent
from lesionlite_runtime.cli import main

number, arguments = int(sys.argv[1]), sys.argv[2:]
signal.signal(signal.SIGINT, signal.default_int_handler)

class Ending(Silent):
    def track(self, items, label, total):
        for done, item in enumerate(items):
            if done == 70:
                os.killpg(0, number) if number == signal.SIGINT else os.kill(os.getpid(), number)
            yield item

verify.reporter = lambda quiet: Ending()
sys.exit(main(arguments))
"""


def runs_of(path: Path) -> dict[int, int]:
    """How many chunks each run wrote."""
    with closing(sqlite3.connect(path)) as connection:
        runs = connection.execute("SELECT run FROM chunks").fetchall()
    return dict(Counter(run for (run,) in runs))


def ended(number: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A run that is ended by the signal ``number``; its workers hold its output open."""
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(number), "verify", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
        check=False,
    )


@pytest.mark.tensorflow
@pytest.mark.parametrize(("number", "workers", "code"), [(9, 1, -9), (9, 2, -9), (2, 2, 130)])
def test_a_run_that_was_ended_goes_on(
    number: int,
    workers: int,
    code: int,
    verify: Any,
    plain: Verification,
    same: Any,
    counting: Any,
    tiny_path: Path,
    tiny_exported: Exported,
    many: Path,
    tmp_path: Path,
) -> None:
    """No worker stays behind, no chunk is scored twice, and the figures are the same."""
    journal = tmp_path / "verify.sqlite"
    stream = ("--journal", journal, "--workers", workers)
    found = ended(number, tiny_path, tiny_exported.path, "--data", many, *stream)
    assert found.returncode == code, found.stderr
    assert found.stdout == ""
    assert "Traceback" not in found.stderr
    assert ("lesionlite: interrupted" in found.stderr) == (code == 130)
    before = runs_of(journal)
    assert before == {1: 3}
    report = counting()
    same(verify(stream=StreamOptions(1, journal), report=report), plain)
    assert runs_of(journal) == {1: 3, 2: CHUNKS - 3}
    assert report.totals == [151 - 96]
    assert report.said == ["96 of 151 images are in the journal"]
    report = counting()
    same(verify(stream=StreamOptions(2, journal), report=report), plain)  # nothing is left to do
    assert report.totals == [0]
    assert runs_of(journal) == {1: 3, 2: CHUNKS - 3}


@pytest.mark.tensorflow
def test_the_journal_of_something_else_is_refused(
    verify: Any, tiny_exported: Exported, many: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "verify.sqlite"
    stream = StreamOptions(1, journal)
    verify(stream=stream)
    content = journal.read_bytes()
    with pytest.raises(UsageError, match=r"verify.sqlite: .*something else \(reference differs\)"):
        verify_model(load_reference(tiny_exported.path), tiny_exported.path, many, stream=stream)
    with pytest.raises(UsageError, match=r"something else \(threads differs\)"):
        verify(stream=stream, threads=2)
    changed = many / "valid" / "nevus"
    touched = sorted(changed.iterdir())[0]
    before = touched.stat()
    touched.touch()
    try:
        with pytest.raises(UsageError, match=r"something else \(data differs\); name another"):
            verify(stream=stream)
    finally:
        os.utime(touched, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert journal.read_bytes()[100:] == content[100:]
    verify(stream=stream)


def written(path: Path) -> bytes:
    with open_journal(path, HEADER) as journal:
        journal.add(0, [])
    return path.read_bytes()


def test_what_is_no_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.sqlite")
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as connection:
        connection.execute("CREATE TABLE other (a)")
        connection.commit()
    other = (tmp_path / "other.sqlite").read_bytes()
    damaged = bytearray(whole)
    damaged[4096:4400] = b"\xff" * 304
    for content, words in [
        (b"a text that somebody wrote, longer than any header of SQLite" * 20, "no journal of"),
        (other, "this SQLite file is no journal of lesionlite; name another file"),
        (whole[: len(whole) // 2], "no journal of lesionlite, or a damaged one"),
        (bytes(damaged), "no journal of lesionlite, or a damaged one"),
    ]:
        path = tmp_path / "given.sqlite"
        path.write_bytes(content)
        with pytest.raises(UnusableInput, match=words), open_journal(path, HEADER):
            pass
        assert path.read_bytes() == content


def test_rows_that_no_run_wrote_are_refused(tmp_path: Path) -> None:
    """A changed digit, a score less or more, rows of another chunk: SQLite sees no fault."""
    path = tmp_path / "given.sqlite"
    images = [LabelledImage(tmp_path / "a.jpg", 1, "")]
    row = ScoredImage(images[0], "0" * 64, "2" * 64, "photo", (np.array([0.25, 0.75]),))
    with open_journal(path, HEADER) as journal:
        journal.add(0, [row])
    whole = path.read_bytes()
    listed = {0: images, 1: images}
    for change in (
        "UPDATE chunks SET rows = replace(rows, '0.25', '0.26')",
        "UPDATE chunks SET rows = replace(rows, '0.25, ', '')",
        "UPDATE chunks SET rows = '[{\"sha256\": 1}]'",
        "UPDATE chunks SET rows = CAST(rows AS BLOB)",
        "UPDATE chunks SET number = 1",
        "UPDATE chunks SET sha256 = ''",
    ):
        path.write_bytes(whole)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute(change).rowcount == 1
            connection.commit()
        with open_journal(path, HEADER) as journal, pytest.raises(UnusableInput, match="damaged"):
            list(journal.chunks(listed))
    assert b"0.25, 0.75" in whole
    path.write_bytes(whole.replace(b"0.25, 0.75", b"0.25, 0.85"))
    with open_journal(path, HEADER) as journal, pytest.raises(UnusableInput, match="damaged"):
        list(journal.chunks(listed))
    path.write_bytes(whole)
    with open_journal(path, HEADER) as journal:
        assert len(list(journal.chunks(listed))) == 1


@pytest.mark.tensorflow
def test_an_image_that_could_not_be_read_is_tried_again(
    verify: Any,
    plain: Verification,
    same: Any,
    many: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk that did not answer is no property of the set; a broken image is one."""
    journal = StreamOptions(1, tmp_path / "verify.sqlite")
    lost = sorted((many / "valid" / "nevus").iterdir())[3]

    def failing(path: Path, limit: int) -> bytes:
        if Path(path) == lost:
            raise UnusableInput("input/output error", "check the path", path)
        return read_file(path, limit)

    with monkeypatch.context() as patched:
        patched.setattr(representative, "read_file", failing)
        for _ in range(2):
            found = verify(stream=journal)
            assert len(found.unusable) == len(plain.unusable) + 1
        assert runs_of(tmp_path / "verify.sqlite") == {1: CHUNKS}
    same(verify(stream=journal), plain)
    assert runs_of(tmp_path / "verify.sqlite") == {1: CHUNKS - 1, 3: 1}
    same(verify(stream=journal), plain)
    assert runs_of(tmp_path / "verify.sqlite") == {1: CHUNKS - 1, 3: 1}


def test_two_runs_do_not_share_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "given.sqlite"
    with (
        open_journal(path, HEADER),
        pytest.raises(UnusableInput, match=r"locked\); wait for the run"),
        open_journal(path, HEADER),
    ):
        pass
    with open_journal(path, HEADER):
        pass


def test_a_journal_in_no_folder_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(LesionliteError, match=r"cannot be opened .*check the path"),
        open_journal(tmp_path / "none" / "a.sqlite", HEADER),
    ):
        pass


@pytest.mark.tensorflow
def test_the_command_takes_a_journal_for_images_alone(
    tiny_path: Path,
    tiny_exported: Exported,
    tiny_model: KerasModel,
    small_drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    journal = tmp_path / "a.sqlite"
    limits = ("--limits", "auc_difference=none", "--quiet", "--json", "--workers", "1")
    arguments = [str(tiny_path), str(tiny_exported.path), *limits, "--journal", str(journal)]
    assert main(["verify", *arguments]) == 2
    assert "--journal is for scoring images, and" in capsys.readouterr().err
    assert not journal.exists()
    bodies = []
    for _ in range(2):
        assert main(["verify", *arguments, "--data", str(small_drawn)]) == 0
        bodies.append(json.loads(capsys.readouterr().out))
    assert bodies[0] == bodies[1]
    assert runs_of(journal) == {1: 1}


def test_rows_come_back_as_they_were_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "given.sqlite"
    images = [LabelledImage(tmp_path / f"{name}.jpg", 1, "") for name in "abc"]
    fault = UnusableInput("no score by m.tflite", "check that model", images[1].path)
    rows = [
        ScoredImage(images[0], "0" * 64, "2" * 64, "photo", (np.array([0.1 + 0.2, 1e-300]),)),
        ScoredImage(images[1], "1" * 64, None, "noise", (fault, np.array([1 / 3]))),
        Unusable(images[2], UsageError("an unknown fit")),
    ]
    with open_journal(path, HEADER) as journal:
        journal.add(4, rows)
    with open_journal(path, HEADER) as journal:
        ((number, found),) = journal.chunks({4: images})
    assert number == 4
    first, second, last = found
    assert isinstance(first, ScoredImage)
    assert isinstance(second, ScoredImage)
    assert isinstance(last, Unusable)
    assert (first.image, first.sha256, first.kind) == (images[0], "0" * 64, "photo")
    assert (first.file_sha256, second.file_sha256) == ("2" * 64, None)
    assert np.array_equal(np.stack(first.outcomes), [[0.1 + 0.2, 1e-300]])
    assert (second.kind, str(second.outcomes[0])) == ("noise", str(fault))
    assert np.array_equal(np.asarray(second.outcomes[1]), [1 / 3])
    assert (last.image, type(last.error), str(last.error)) == (
        images[2],
        UsageError,
        "an unknown fit",
    )
