"""Checkpoints: what is written is read back, and a file is whole, older, or refused."""

from __future__ import annotations

import errno
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lesionlite_runtime.errors import MissingHere, UnusableInput
from lesionlite_training.checkpoints import Checkpoint, read_checkpoint, write_checkpoint

arrays = st.lists(
    hnp.arrays(
        st.sampled_from([np.float32, np.int64, np.uint32]), hnp.array_shapes(min_dims=0, max_dims=3)
    ),
    max_size=12,
)
rows = st.dictionaries(
    st.text(max_size=5), st.none() | st.integers() | st.floats(allow_nan=False), max_size=3
)
checkpoints = st.builds(
    Checkpoint, st.integers(0, 1000), arrays, arrays, st.lists(rows, max_size=3), arrays
)
SMALL = Checkpoint(3, [np.arange(4.0)], [np.ones((2, 2))], [{"loss": 0.5}], [np.array([1, 2])])


def equal(one: list[Any], two: list[Any]) -> bool:
    return len(one) == len(two) and all(
        a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
        for a, b in zip(one, two, strict=True)
    )


@given(checkpoints)
def test_what_is_written_is_read_back(checkpoint: Checkpoint) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.npz")
        write_checkpoint(path, checkpoint)
        assert [p.name for p in Path(folder).iterdir()] == ["c.npz"]
        found = read_checkpoint(path)
    assert found.epoch == checkpoint.epoch
    assert found.history == checkpoint.history
    # With more than ten arrays their names no longer sort by number.
    assert equal(found.weights, checkpoint.weights)
    assert equal(found.optimizer, checkpoint.optimizer)
    assert equal(found.random, checkpoint.random)


def test_the_last_one_takes_the_place_of_the_older(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    for epoch in (1, 2):
        write_checkpoint(path, Checkpoint(epoch, [], [], []))
    assert read_checkpoint(path).epoch == 2


def test_a_full_disk_leaves_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.npz"
    write_checkpoint(path, SMALL)

    def full(stream: Any, **arrays: Any) -> None:
        stream.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(MissingHere) as caught:
        write_checkpoint(path, Checkpoint(4, [], [], []))
    assert str(caught.value) == (
        f"{path}: the file cannot be written (no space left on device); "
        "free some space or name another folder"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["c.npz"]
    assert read_checkpoint(path).epoch == 3


class Program:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    path, made = tmp_path / "c.npz", tmp_path / "made"
    np.savez(path, head=np.array([Program(made)], dtype=object))
    with pytest.raises(UnusableInput, match="cannot be read"):
        read_checkpoint(path)
    assert not made.exists()


@pytest.mark.parametrize("head", [b"", b"{}", b"[]", b"no json", b'{"epoch": 1}'])
def test_a_head_that_says_nothing_is_refused(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "c.npz"
    np.savez(path, head=np.frombuffer(head, np.uint8))
    with pytest.raises(UnusableInput, match="remove it, and the training begins there anew"):
        read_checkpoint(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    text, array, archive = (tmp_path / name for name in ("text", "array.npy", "other.zip"))
    text.write_text("no checkpoint")
    np.save(array, np.zeros(3))
    with zipfile.ZipFile(archive, "w") as other:
        other.writestr("a.txt", "a")
    for path in (text, array, archive, tmp_path / "missing", tmp_path):
        with pytest.raises(UnusableInput, match="this checkpoint cannot be read"):
            read_checkpoint(path)


@given(st.data())
def test_a_damaged_file_is_refused_or_read_as_it_was(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.npz")
        write_checkpoint(path, SMALL)
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            del content[place:]
        else:
            content[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        try:
            found = read_checkpoint(path)
        except UnusableInput:
            return
    assert found.epoch == SMALL.epoch
    assert equal(found.weights, SMALL.weights)
