"""A kit of the shipped model, recorded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from lesionlite_export.kit.manifest import KitFolder, read_kit
from lesionlite_export.kit.record import record_kit


@pytest.fixture(scope="session")
def shipped_kit(tmp_path_factory: pytest.TempPathFactory, shipped_model: Path) -> KitFolder:
    """The kit of the shipped int8 file."""
    pytest.importorskip("ai_edge_litert")
    folder = tmp_path_factory.mktemp("conformance") / "kit"
    record_kit(shipped_model, folder)
    return read_kit(folder)
