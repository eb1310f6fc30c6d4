"""TensorBoard's event files: what its own reader finds in them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lesionlite_runtime.errors import MissingHere, UsageError
from lesionlite_training.tensorboard import FIGURES, TensorBoardWatcher

pytestmark = pytest.mark.tensorflow  # TensorBoard writes through it where it is installed


def row(epoch: int, **figures: float) -> dict[str, float | int | None]:
    return {"epoch": epoch, "size": None, "loss": 1 / epoch, "learning_rate": 0.1, **figures}


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


@pytest.fixture(autouse=True)
def _needs_tensorboard() -> None:
    pytest.importorskip("tensorboard")


def test_each_epoch_of_each_member_is_there_in_order(tmp_path: Path) -> None:
    watch = TensorBoardWatcher(tmp_path / "tb")
    for epoch in range(1, 13):
        watch("fold-0", row(epoch))
    watch("final", row(1, validation_loss=0.25))
    assert sorted(path.name for path in (tmp_path / "tb").iterdir()) == ["final", "fold-0"]
    found = scalars(tmp_path / "tb" / "fold-0")
    assert found.keys() == {"loss", "learning_rate"}
    assert found["loss"] == [(e, pytest.approx(1 / e)) for e in range(1, 13)]
    assert scalars(tmp_path / "tb" / "final")["validation_loss"] == [(1, 0.25)]
    assert set(FIGURES) == {"loss", "validation_loss", "learning_rate"}


def test_an_epoch_is_on_disk_before_the_next_one_begins(tmp_path: Path) -> None:
    watch = TensorBoardWatcher(tmp_path)
    watch("fold-0", row(1))
    assert scalars(tmp_path / "fold-0")["loss"] == [(1, 1.0)]
    watch("fold-0", row(2))
    assert len(scalars(tmp_path / "fold-0")["loss"]) == 2


def test_the_hour_is_the_hour(tmp_path: Path) -> None:
    """Without it TensorBoard shows 1970."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    TensorBoardWatcher(tmp_path)("fold-0", row(1))
    found = EventAccumulator(str(tmp_path / "fold-0"))
    found.Reload()
    assert found.Scalars("loss")[0].wall_time > 1.7e9


def test_a_second_run_adds_to_the_first(tmp_path: Path) -> None:
    for epochs in ((1, 2), (3, 4)):
        watch = TensorBoardWatcher(tmp_path)
        for epoch in epochs:
            watch("final", row(epoch))
    assert [step for step, _ in scalars(tmp_path / "final")["loss"]] == [1, 2, 3, 4]


def test_without_tensorboard_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingHere) as caught:
        TensorBoardWatcher(tmp_path)
    assert str(caught.value) == (
        "TensorBoard is not installed; run: pip install 'lesionlite[tensorboard]'"
    )


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tb"
    path.write_text("mine")
    with pytest.raises(UsageError, match="tb: this is a file; name a folder"):
        TensorBoardWatcher(path)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    watch = TensorBoardWatcher(tmp_path)
    (tmp_path / "fold-0").write_text("in the way")
    with pytest.raises(MissingHere) as caught:
        watch("fold-0", row(1))
    assert str(caught.value).startswith(f"{tmp_path / 'fold-0'}: the event file cannot be written")
