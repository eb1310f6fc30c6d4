"""Fixtures for every room: the shipped model, drawn photos, and real images where they are."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import settings

# Two cores that others share: a slow example is no fault.
settings.register_profile("lesionlite", deadline=None)
settings.load_profile("lesionlite")

ROOT = Path(__file__).parents[1]
DATA_VARIABLE = "LESIONLITE_DATA"
DATA_FOLDERS = ("isic2017", "fullres")
NO_DATA = f"real ISIC images are not here ({DATA_VARIABLE} is not set to the folder of isic2017/)"


def _data_dir() -> Path | None:
    folder = Path(os.environ.get(DATA_VARIABLE, os.devnull))
    return folder if all((folder / name).is_dir() for name in DATA_FOLDERS) else None


def pytest_report_header() -> str:
    """Say which images the tests work on."""
    data = _data_dir()
    if data is None:
        return f"images: the project's own drawn ones alone; {NO_DATA}"
    return f"images: real ISIC photos from {data}, and the project's own drawn ones"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs real images or TensorFlow where they are not."""
    if item.get_closest_marker("data") and _data_dir() is None:
        pytest.skip(NO_DATA)
    if item.get_closest_marker("tensorflow") and importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder that holds ``isic2017/`` and ``fullres/``; skips the test where there is none."""
    folder = _data_dir()
    if folder is None:
        pytest.skip(NO_DATA)
    return folder


@pytest.fixture(scope="session")
def shipped_model() -> Path:
    """The ``.tflite`` that ships in the package."""
    return ROOT / "runtime" / "lesionlite_runtime" / "models" / "lesion.int8.tflite"


@pytest.fixture(scope="session")
def shipped_regression() -> Path:
    """The linear ``.tflite`` among the samples."""
    return ROOT / "samples" / "linear" / "hello.int8.tflite"


@pytest.fixture(scope="session")
def drawn_photos() -> list[Path]:
    """The project's own drawn photos, by name."""
    return sorted((ROOT / "samples" / "drawn").glob("*.jpg"))
