"""What TensorFlow prints stays off the terminal; what we print of progress reaches it."""

from __future__ import annotations

import io
import logging
import os
import pty
import select
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from lesionlite_export.noise import native_noise_logged
from lesionlite_export.progress import Silent, Terminal, reporter


def test_python_and_native_output_are_logged(capfd: pytest.CaptureFixture[str]) -> None:
    sys.stdout.write("before\n")
    with native_noise_logged() as noise:
        sys.stdout.write("from python\n")
        sys.stderr.write("python error\n")
        os.write(1, b"from native code\n")
        os.write(2, b"native error\n")
        subprocess.run(["sh", "-c", "echo from a child"], check=True)
        warnings.warn("a warning", stacklevel=1)
    sys.stdout.write("after\n")
    os.write(2, b"native after\n")
    out, err = capfd.readouterr()
    assert out == "before\nafter\n"
    assert err == "native after\n"
    for words in ("from python", "python error", "native code", "native error", "a child"):
        assert words in noise.text
    assert "a warning" not in noise.text


def test_the_log_is_there_and_the_streams_are_back_after_an_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    stdout, stderr = sys.stdout, sys.stderr

    def fail() -> None:
        os.write(2, b"the reason")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), native_noise_logged() as noise:
        fail()
    assert noise.text == "the reason"
    assert (sys.stdout, sys.stderr) == (stdout, stderr)
    sys.stdout.write("after\n")
    assert capfd.readouterr() == ("after\n", "")


def test_the_end_of_much_noise_is_kept() -> None:
    with native_noise_logged() as noise:
        os.write(1, b"x" * 10_000 + "é the end \xff".encode() + b"\xff")
    assert len(noise.text) <= 4000
    assert noise.text.endswith("é the end ÿ\ufffd")


def test_blocks_may_be_nested(capfd: pytest.CaptureFixture[str]) -> None:
    with native_noise_logged() as outer:
        os.write(1, b"one ")
        with native_noise_logged() as inner:
            os.write(1, b"two")
        os.write(1, b"three")
    assert (outer.text, inner.text) == ("one three", "two")
    assert capfd.readouterr() == ("", "")


def test_no_file_handle_is_left_open() -> None:
    def count() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    with native_noise_logged():
        pass
    before = count()
    for _ in range(5):
        with native_noise_logged():
            pass
    assert count() == before


@pytest.mark.parametrize("stream", [None, "closed"])
def test_streams_that_are_gone_do_not_matter(
    stream: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = None
    if stream == "closed":
        gone = io.StringIO()
        gone.close()
    monkeypatch.setattr(sys, "stderr", gone)
    with native_noise_logged() as noise:
        os.write(2, b"logged")
    assert noise.text == "logged"
    assert isinstance(reporter(quiet=False), Silent)


def test_a_logger_made_in_the_block_speaks_to_stderr_after_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """TensorFlow's loggers keep the stream that they were made with."""
    logger = logging.Logger("made in the block")
    with native_noise_logged() as noise:
        handler = logging.StreamHandler(sys.stderr)
        logger.addHandler(handler)
        logger.warning("within")
        os.write(handler.stream.fileno(), b"native")
    logger.warning("after")
    assert noise.text == "within\nnative"
    assert capfd.readouterr() == ("", "after\n")


def test_a_stream_without_a_file_gets_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(reporter(quiet=False), Silent)


def test_quiet_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    silent = reporter(quiet=True)
    with silent.phase("Doing"):
        assert list(silent.track(iter("abc"), "Counting", 3)) == ["a", "b", "c"]
    assert capfd.readouterr() == ("", "")


def test_off_a_terminal_a_phase_is_a_line_on_stderr_also_amid_noise(
    capfd: pytest.CaptureFixture[str],
) -> None:
    report = reporter(quiet=False)
    assert isinstance(report, Terminal)
    with report.phase("Converting [x]"), native_noise_logged():
        os.write(2, b"noise")
        assert list(report.track(range(3), "Scoring", 3)) == [0, 1, 2]
    assert capfd.readouterr() == ("", "Converting [x] ...\nScoring (3) ...\n")


def test_on_a_terminal_there_are_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        report = reporter(quiet=False)
        with report.phase("Loading"):
            pass
        assert list(report.track(range(4), "Scoring", 4)) == [0, 1, 2, 3]
    text = ""
    while "100%" not in text and select.select([master], [], [], 10)[0]:
        text += os.read(master, 100_000).decode()
    os.close(master)
    assert "Loading: done" in text
    assert "Scoring" in text
    assert "100%" in text
