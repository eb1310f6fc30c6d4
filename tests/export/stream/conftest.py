"""A set of several chunks, what a plain run says of it, and reporters that interfere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from lesionlite_export.drawn import write_drawn_dataset
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.progress import Silent
from lesionlite_export.publish import Exported
from lesionlite_export.verification import verify_model
from lesionlite_export.verification_result import Verification

T = TypeVar("T")
Verify = Callable[..., Verification]
LIMITS: dict[str, float | None] = {"auc_difference": None, "flip_rate": 0.2}
BAD = "broken.jpg"


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 drawings in the ISIC layout, five chunks, and a file among them that is no image."""
    folder = tmp_path_factory.mktemp("many") / "drawn"
    valid = {"melanoma": 40, "nevus": 70, "seborrheic_keratosis": 40}
    write_drawn_dataset(folder, train={"melanoma": 1}, valid=valid, seed=5, size=(48, 48))
    (folder / "valid" / "melanoma" / BAD).write_bytes(b"no image")
    return folder


@pytest.fixture(scope="session")
def verify(tiny_model: KerasModel, tiny_exported: Exported, many: Path) -> Verify:
    """Verifies the tiny file against its network on `many`."""

    def run(**options: object) -> Verification:
        return verify_model(
            tiny_model,
            tiny_exported.path,
            many,
            limits=LIMITS,
            **options,  # type: ignore[arg-type]
        )

    return run


@pytest.fixture(scope="session")
def plain(verify: Verify) -> Verification:
    """The result in this process alone."""
    return verify()


@pytest.fixture(scope="session")
def same() -> Callable[[Verification, Verification], None]:
    """Asserts that every figure, score and digest is the same, to the bit."""

    def check(found: Verification, wanted: Verification) -> None:
        assert json.dumps(found.to_json()) == json.dumps(wanted.to_json())
        for name, column in wanted.columns().items():
            assert list(found.columns()[name]) == list(column), name

    return check


class Counting(Silent):
    """Tells how many images a run had to do, and acts once some of them are done."""

    def __init__(self, after: int = -1, act: Callable[[], object] = lambda: None) -> None:
        self.totals: list[int] = []
        self.said: list[str] = []
        self._after, self._act = after, act

    def track(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        del label
        self.totals.append(total)
        for number, item in enumerate(items):
            if number == self._after:
                self._act()
            yield item

    def say(self, line: str) -> None:
        self.said.append(line)


@pytest.fixture(scope="session")
def counting() -> type[Counting]:
    """`Counting`."""
    return Counting
