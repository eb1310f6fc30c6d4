"""The command line as a whole: codes, one-line faults, and no import before its time."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import click
import pytest

from lesionlite_runtime import __version__, cli
from lesionlite_runtime.cli import EXTRA_SENTINELS, ROUTES, main
from lesionlite_runtime.errors import (
    LesionliteError,
    MissingHere,
    ProofFailed,
    SomeInputsFailed,
    UnusableInput,
    UsageError,
)

Outcome = tuple[int, str, str]
RUNTIME = ("classify", "predict", "inspect", "contract")
Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def call(*arguments: str | Path) -> Outcome:
        code = main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return call


def started(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make ``classify`` raise an exception in place of running."""

    def arrange(error: BaseException) -> None:
        @click.command("classify")
        def command() -> None:
            raise error

        monkeypatch.setattr("lesionlite_runtime.commands.classify.command", command)

    return arrange


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("what", "do", "a.jpg"), 2),
        (ProofFailed("what", "do", "a.jpg"), 3),
        (SomeInputsFailed("what", "do", "a.jpg"), 4),
        (UnusableInput("what", "do", "a.jpg"), 5),
        (MissingHere("what", "do", "a.jpg"), 6),
        (LesionliteError("what", "do", "a.jpg"), 1),
    ],
)
def test_each_error_has_its_code_and_one_line(
    run: Run, failing: Callable[[BaseException], None], error: LesionliteError, code: int
) -> None:
    failing(error)
    assert run("classify") == (code, "", "lesionlite: a.jpg: what; do\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interruption_has_code_130(
    run: Run, failing: Callable[[BaseException], None], error: BaseException
) -> None:
    failing(error)
    code, out, err = run("classify")
    assert (code, out, err.strip()) == (130, "", "lesionlite: interrupted")


def test_an_interruption_outside_of_a_command_has_code_130(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.cli, "main", interrupted)
    assert run("classify") == (130, "", "lesionlite: interrupted\n")


def test_a_bug_is_one_line_and_code_1(run: Run, failing: Callable[[BaseException], None]) -> None:
    failing(ZeroDivisionError("by\nzero"))
    code, out, err = run("classify")
    assert (code, out) == (1, "")
    assert err == (
        "lesionlite: a bug: ZeroDivisionError: by; "
        "run `lesionlite --debug ...` for the trace, and report it\n"
    )


@pytest.mark.parametrize("way", ["option", "environment"])
def test_debug_shows_the_trace(
    run: Run,
    failing: Callable[[BaseException], None],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    failing(ZeroDivisionError("by zero"))
    if way == "environment":
        monkeypatch.setenv("LESIONLITE_DEBUG", "1")
    code, _, err = run(*(["--debug"] if way == "option" else []), "classify")
    assert code == 1
    assert "Traceback (most recent call last)" in err
    assert err.endswith("lesionlite: a bug: ZeroDivisionError: by zero\n")


def test_an_error_s_trace_shows_with_debug(
    run: Run, failing: Callable[[BaseException], None]
) -> None:
    failing(UnusableInput("what"))
    code, _, err = run("--debug", "classify")
    assert code == 5
    assert "Traceback" in err
    assert err.endswith("lesionlite: what\n")


def test_a_hostile_message_stays_on_one_line(
    run: Run, failing: Callable[[BaseException], None]
) -> None:
    failing(UnusableInput("a\x1b[2Jb\nc\udcff", "", "d\r.jpg"))
    _, _, err = run("classify")
    assert err == "lesionlite: d\\r.jpg: a\\x1b[2Jb\\nc\\udcff\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["clasify"], "there is no command 'clasify'; did you mean classify?"),
        (["verfy"], "there is no command 'verfy'; did you mean verify?"),
        (["frobnicate"], "there is no command 'frobnicate'; see `lesionlite --help`"),
        (["--verbose"], "No such option"),
        (["classify"], "Missing argument 'PATH...'; see `lesionlite classify --help`"),
        (["classify", "a.jpg", ""], "a path is empty; see `lesionlite classify --help`"),
        (["classify", "a.jpg", "--jsn"], "No such option"),
        (["classify", "a.jpg", "--threads", "0"], "0 is not in the range 1<=x<=256"),
        (["classify", "a.jpg", "--threshold", "high"], "'high' is not a valid float"),
        (["classify", "a.jpg", "--backend", "tpu"], "'tpu' is not one of"),
        (["inspect"], "Missing argument 'MODEL'; see `lesionlite inspect --help`"),
        (["inspect", "a", "b"], "unexpected extra argument (b)"),
        (["contract"], "Missing command; see `lesionlite contract --help`"),
        (["contract", "set"], "No such command 'set'; see `lesionlite contract --help`"),
        (["contract", "set-threshold"], "Missing argument 'MODEL'"),
        (["contract", "set-threshold", "m", "--threshold", "x"], "'x' is not a valid float"),
        (["predict", "m.tflite"], "Missing argument 'X...'"),
        (["predict", "m.tflite", "ten"], "'ten' is not a valid float"),
        (["predict", "m.tflite", "--jsn", "1"], "'--jsn' is not a valid float"),
    ],
)
def test_wrong_usage_has_code_2_and_one_line(run: Run, arguments: list[str], words: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.startswith("lesionlite: ")
    assert err.count("\n") == 1


def test_no_arguments_show_the_help_and_code_2(run: Run) -> None:
    code, out, err = run()
    assert (code, out) == (2, "")
    assert "classify  Decide about photos." in err


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_command(run: Run, option: str) -> None:
    code, out, err = run(option)
    assert (code, err) == (0, "")
    for name, route in ROUTES.items():
        assert f"  {name} " in out
        assert route.help in " ".join(out.split())


def test_the_version_is_told(run: Run) -> None:
    assert run("--version") == (0, f"lesionlite, version {__version__}\n", "")


@pytest.mark.parametrize("name", RUNTIME)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_a_command_s_help_has_an_example(name: str, option: str) -> None:
    # In a process of its own: click keeps the help option that a command was first asked for.
    outcome = started(
        "import sys; from lesionlite_runtime.cli import main; sys.exit(main(sys.argv[1:]))",
        name,
        option,
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert f"Example: lesionlite {name} " in outcome.stdout
    assert f"Usage: lesionlite {name} " in outcome.stdout


@pytest.mark.parametrize("name", [name for name, route in ROUTES.items() if route.extra])
def test_a_command_whose_extra_is_missing_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    extra = ROUTES[name].extra
    assert extra is not None
    missing = EXTRA_SENTINELS[extra][0]
    monkeypatch.setattr(
        cli.importlib.util, "find_spec", lambda module: None if module == missing else module
    )
    for arguments in ([name], [name, "x.keras", "--out", "y", "--recipe=int8"]):
        code, out, err = run(*arguments)
        assert (code, out) == (6, "")
        assert err == (
            f"lesionlite: `lesionlite {name}` needs {missing}; "
            f"run pip install 'lesionlite[{extra}]'\n"
        )
    code, out, _ = run(name, "--help")
    assert code == 0
    assert f"Not installed here: run pip install 'lesionlite[{extra}]'" in " ".join(out.split())


def modules_after(*arguments: str) -> set[str]:
    """The top packages that a run of the command line imports."""
    code = (
        "import json, sys; from lesionlite_runtime.cli import main; code = main(sys.argv[1:]); "
        "print('\\n' + json.dumps([code, sorted({m.split('.')[0] for m in sys.modules})]))"
    )
    outcome = started(code, *arguments)
    exit_code, modules = json.loads(outcome.stdout.splitlines()[-1])
    assert exit_code == 0, outcome.stderr
    return set(modules)


def test_help_imports_no_numpy() -> None:
    heavy = {"numpy", "PIL", "ai_edge_litert", "tflite_runtime", "tensorflow"}
    assert not modules_after("--help") & heavy


@pytest.mark.parametrize("arguments", [["classify", "--json"], ["inspect"]])
def test_a_runtime_command_imports_nothing_that_a_device_lacks(
    arguments: list[str], shipped_model: Path, drawn_photos: list[Path]
) -> None:
    what = drawn_photos[0] if arguments[0] == "classify" else shipped_model
    modules = modules_after(*arguments, str(what))
    assert "numpy" in modules
    heavy = {"tensorflow", "keras", "pandas", "sklearn", "scipy", "matplotlib", "rich", "h5py"}
    assert not modules & (heavy | {"lesionlite_export", "lesionlite_training"})


def test_the_module_runs_as_the_command() -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", "lesionlite_runtime", "clasify"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert outcome.stderr == "lesionlite: there is no command 'clasify'; did you mean classify?\n"


def inspected(model: Path, stdout: IO[bytes]) -> tuple[int, str]:
    """Exit code and stderr of ``lesionlite inspect`` with its output to ``stdout``."""
    command = [sys.executable, "-m", "lesionlite_runtime", "inspect", str(model)]
    outcome = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    return outcome.returncode, outcome.stderr


def test_a_reader_that_goes_away_is_no_noise(shipped_model: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        assert inspected(shipped_model, pipe) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout_is_missing_space(shipped_model: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        assert inspected(shipped_model, full) == (
            6,
            "lesionlite: what goes to stdout cannot be written (No space left on device); "
            "free some space\n",
        )


def test_a_closed_stdout_is_no_fault(shipped_model: Path) -> None:
    command = f'"{sys.executable}" -m lesionlite_runtime inspect "{shipped_model}" >&-'
    outcome = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, check=False)
    assert (outcome.returncode, outcome.stderr) == (0, b"")


def test_a_pipe_that_breaks_at_the_last_flush_is_no_noise(
    failing: Callable[[BaseException], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open(os.devnull, "w") as stdout:  # noqa: PTH123 (os.devnull is a string)
        monkeypatch.setattr(sys, "stdout", stdout)
        failing(BrokenPipeError())
        code = main(["classify"])
    assert (code, capsys.readouterr().err) == (1, "")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-8"])
def test_a_terminal_without_unicode_gets_escapes(
    encoding: str, drawn_photos: list[Path], tmp_path: Path
) -> None:
    name = os.fsencode(tmp_path) + b"/\xe7\x9a\xae \xff.jpg"  # a Chinese letter; a byte of no UTF-8
    with open(name, "wb") as photo:  # noqa: PTH123 (the name is bytes)
        photo.write(drawn_photos[0].read_bytes())
    for option in ([], ["--json"]):
        outcome = subprocess.run(
            [sys.executable, "-m", "lesionlite_runtime", "classify", name, "-q", *option],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": f"{encoding}:strict", "PYTHONUTF8": "1"},
            check=False,
        )
        assert (outcome.returncode, outcome.stderr) == (0, b"")
        (line,) = outcome.stdout.decode(encoding).splitlines()
        if option:
            assert os.fsencode(json.loads(line)["file"]) == name
        else:
            shown = "皮" if encoding == "utf-8" else "\\u76ae"
            assert f"/{shown} \\udcff.jpg: score" in line


def test_the_entry_point_takes_streams_that_are_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "argv", ["lesionlite", "--version"])
    with pytest.raises(SystemExit) as caught:
        cli.run()
    assert caught.value.code == 0


def test_every_route_names_what_is_there() -> None:
    for name, route in ROUTES.items():
        assert importlib.util.find_spec(route.module) is not None, name
