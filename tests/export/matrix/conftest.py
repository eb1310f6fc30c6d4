"""What every backend is given: the shipped file, tiny ones, and the drawn photos."""

from __future__ import annotations

import importlib.util
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lesionlite_export.matrix.process import Task
from lesionlite_runtime.classifier import Classifier
from lesionlite_runtime.door import open_model
from lesionlite_runtime.graph import SIGNATURE_KEY


class Held:
    """A pipe that a process holds open for as long as it lives."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "held"
        os.mkfifo(self.path)
        self._end = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    @property
    def code(self) -> str:
        """What a process does to hold it."""
        return f"import os; os.write(os.open({str(self.path)!r}, os.O_WRONLY), b'here')\n"

    def wait(self) -> None:
        """Return when a process holds it."""
        assert select.select([self._end], [], [], 300.0)[0]

    def let_go(self) -> bool:
        """Whether a process held it, and now none does; waits for the kernel to say so."""
        said = b""
        while select.select([self._end], [], [], 30.0)[0]:
            part = os.read(self._end, 100)
            if not part:
                os.close(self._end)
                return said == b"here"
            said += part
        return False


@pytest.fixture
def held(tmp_path: Path) -> Held:
    """A pipe that tells whether a process lives."""
    return Held(tmp_path)


def _beside(path: str) -> ModuleType:
    """The module of another folder of the tests."""
    name = f"_beside_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[2] / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_tiny = _beside("runtime/conftest.py")
tiny_labels, labels_file = _tiny.tiny_labels, _tiny.labels_file
tiny_regression, regression_file = _tiny.tiny_regression, _tiny.regression_file


@pytest.fixture(scope="session")
def schema_faults() -> Callable[[Any, dict[str, Any]], list[str]]:
    """What is wrong with a value under a JSON Schema of the docs."""
    faults = _beside("runtime/test_cli_docs.py").faults
    return lambda value, schema: list(faults(value, schema, schema))


@pytest.fixture(scope="session")
def photo_list(tmp_path_factory: pytest.TempPathFactory, drawn_photos: list[Path]) -> Path:
    """A manifest of the drawn photos, melanomas labelled 1."""
    folder = tmp_path_factory.mktemp("photos")
    rows = ["filepath,label"]
    for photo in drawn_photos:
        (folder / photo.name).write_bytes(photo.read_bytes())
        rows.append(f"{photo.name},{int('melanoma' in photo.name)}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    return folder / "list.csv"


@pytest.fixture(scope="session")
def photo_scores(shipped_model: Path, drawn_photos: list[Path]) -> list[float]:
    """The score of each drawn photo by this process's LiteRT."""
    classifier = Classifier(shipped_model)
    return [classifier.classify(photo).score for photo in drawn_photos]


@pytest.fixture
def task(tmp_path: Path, shipped_model: Path, drawn_photos: list[Path]) -> Task:
    """The shipped file on the drawn photos."""
    classifier = Classifier(shipped_model)
    (tmp_path / "model.tflite").write_bytes(open_model(shipped_model).flatbuffer)
    np.save(tmp_path / "inputs.npy", np.stack([classifier.tensor(p) for p in drawn_photos]))
    return Task(tmp_path, SIGNATURE_KEY, "image", "score", "float32", 1)
