"""Backends behind one protocol: the same call, one sentence when it cannot be."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lesionlite_runtime import interpreter
from lesionlite_runtime.door import DeviceModel, open_model
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError
from lesionlite_runtime.interpreter import BACKENDS, installed_backends, open_backend

INSTALLED = installed_backends()


@pytest.fixture
def line(regression_file: Path) -> DeviceModel:
    """The line y = 2 x - 1, through the door."""
    return open_model(regression_file)


def test_an_interpreter_is_here() -> None:
    assert INSTALLED
    assert set(INSTALLED) <= set(BACKENDS)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("threads", [1, 2])
def test_each_backend_runs(line: DeviceModel, name: str, threads: int) -> None:
    if name not in INSTALLED:
        pytest.skip(f"{name} is not installed here")
    backend = open_backend(line, name, threads)
    assert backend.name == name
    for x in (-10.0, 0.0, 0.25, 10.5):
        y = backend.invoke(np.array([[x]], np.float32))
        assert (y.shape, y.dtype) == ((1,), np.float32)
        assert y[0] == 2 * x - 1


def test_the_first_one_installed_is_taken(line: DeviceModel) -> None:
    assert open_backend(line).name == INSTALLED[0]


def test_litert_comes_first(line: DeviceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert installed_backends() == ["litert", "tflite-runtime"]


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_that_is_not_installed_is_missing_here(
    line: DeviceModel, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    other = {package: package != BACKENDS[name] or None for package in BACKENDS.values()}
    monkeypatch.setattr(importlib.util, "find_spec", other.get)
    with pytest.raises(MissingHere, match=f"the interpreter {name} is not installed; run pip inst"):
        open_backend(line, name)


def test_no_backend_at_all_is_missing_here(
    line: DeviceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        MissingHere, match="litert is not installed; run pip install ai-edge-litert"
    ):
        open_backend(line)


def test_wrong_usage_is_refused(line: DeviceModel) -> None:
    with pytest.raises(
        UsageError, match="there is no backend 'tpu'; pass litert or tflite-runtime"
    ):
        open_backend(line, "tpu")
    with pytest.raises(UsageError, match="0 threads are too few"):
        open_backend(line, threads=0)
    with pytest.raises(UsageError, match="257 threads are too many; pass 1 to 256"):
        open_backend(line, threads=257)


@pytest.mark.parametrize("fault", [ImportError("no lib"), AttributeError("_ARRAY_API not found")])
def test_a_backend_that_does_not_import_is_missing_here(
    line: DeviceModel, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def refuse(_: str) -> None:
        raise fault

    monkeypatch.setattr(interpreter.importlib, "import_module", refuse)
    with pytest.raises(MissingHere, match=f"is installed but does not load .{fault}.; run pip"):
        open_backend(line)


def faulty(where: str, fault: Exception) -> Any:
    """A stand-in for an interpreter's module that fails at ``where``."""

    def step(name: str, result: Any = None) -> Any:
        def run(**_: object) -> Any:
            if name == where:
                raise fault
            return result

        return run

    runner = step("run", {"y": [[1.0, 2.0]]})
    made = SimpleNamespace(allocate_tensors=step("allocate"), get_signature_runner=lambda _: runner)
    return SimpleNamespace(Interpreter=step("make", made))


@pytest.mark.parametrize("where", ["make", "allocate", "run"])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (ValueError("bad op\nat line 2"), "cannot run this model (bad op); try another"),
        (RuntimeError(""), "cannot run this model (RuntimeError); try another --backend"),
        (MemoryError("std::bad_alloc"), "cannot run this model (std::bad_alloc); try another"),
    ],
)
def test_a_model_that_the_interpreter_does_not_take_is_unusable(
    line: DeviceModel,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    fault: Exception,
    words: str,
) -> None:
    monkeypatch.setattr(interpreter.importlib, "import_module", lambda _: faulty(where, fault))
    with pytest.raises(UnusableInput) as caught:
        open_backend(line).invoke(np.zeros((1, 1), np.float32))
    assert words in str(caught.value)
    assert caught.value.file == line.path
    assert "\n" not in str(caught.value)


def test_an_interpreter_that_another_numpy_breaks_is_missing_here(
    line: DeviceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = faulty("make", SystemError("initialization failed"))
    monkeypatch.setattr(interpreter.importlib, "import_module", lambda _: module)
    with pytest.raises(MissingHere, match="is installed but does not load"):
        open_backend(line)


@pytest.mark.parametrize("name", INSTALLED)
def test_every_output_value_is_given_in_its_own_type(
    tiny_image_model: Any, tmp_path: Path, name: str
) -> None:
    weights = [[1 / 256, 0, 0], [0, 1 / 256, 0]]
    levels = {"output_type": "int8", "output_levels": (1 / 256, -128)}
    path = tmp_path / "two.tflite"
    path.write_bytes(tiny_image_model(weights, end=None, threshold=0.5, **levels).file())
    image = np.full((1, 8, 6, 3), (3, 200, 0), np.uint8)
    outputs = open_backend(open_model(path), name).invoke(image)
    assert outputs.dtype == np.int8
    assert outputs.tolist() == [3 - 128, 200 - 128]


@pytest.mark.parametrize("name", INSTALLED)
def test_a_model_of_an_operator_version_from_the_future_is_unusable(
    tiny_regression: Any, tmp_path: Path, name: str
) -> None:
    spec = tiny_regression.spec()
    spec["operator_codes"][0]["version"] = 99
    path = tmp_path / "future.tflite"
    path.write_bytes(tiny_regression.file(spec))
    with pytest.raises(UnusableInput, match=f"{name} cannot run this model .*; try another"):
        open_backend(open_model(path), name)


@pytest.mark.parametrize("name", INSTALLED)
def test_loading_and_running_says_nothing_on_stderr(shipped_model: Path, name: str) -> None:
    code = (
        "import sys, numpy as np; from lesionlite_runtime import Classifier; "
        "c = Classifier(sys.argv[1], backend=sys.argv[2]); "
        "c.score(np.zeros((1, 224, 224, 3), np.uint8)); print('mine', file=sys.stderr)"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code, str(shipped_model), name],
        capture_output=True,
        text=True,
        check=True,
    )
    assert outcome.stderr == "mine\n"


def test_a_closed_stderr_is_no_obstacle(regression_file: Path) -> None:
    code = (
        "import os, sys; os.close(2); sys.stderr = None; "
        "from lesionlite_runtime import Regressor; print(Regressor(sys.argv[1]).predict(2))"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code, str(regression_file)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert outcome.stdout == "3.0\n"


@pytest.mark.skipif(len(INSTALLED) < 2, reason="needs both LiteRT and tflite-runtime")
def test_two_backends_agree_on_the_shipped_model(
    shipped_model: Path, drawn_photos: list[Path]
) -> None:
    from lesionlite_runtime import Classifier

    one, other = (Classifier(shipped_model, backend=name) for name in BACKENDS)
    for photo in drawn_photos:
        assert one.classify(photo).score == pytest.approx(other.classify(photo).score, abs=0.06)
