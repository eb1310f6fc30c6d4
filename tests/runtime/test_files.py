"""Reading with a limit; writing whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tracemalloc
from pathlib import Path

import pytest

from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError
from lesionlite_runtime.files import check_output_path, read_file, whole_file, write_whole


def test_a_file_s_bytes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    assert read_file(path) == read_file(str(path)) == read_file(path, max_bytes=3) == b"abc"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "no such file or directory"),
        ("folder", "is a directory"),
        ("empty", "the file is empty"),
        ("large", "the file is over 3 bytes"),
        ("x" * 5000, "file name too long"),
        ("a\0b", "this is no valid path"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "large").write_bytes(b"abcd")
    with pytest.raises(UnusableInput, match=words) as caught:
        read_file(str(tmp_path / name), max_bytes=3)
    assert caught.value.file == str(tmp_path / name)
    assert caught.value.remedy


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero here")
def test_a_device_that_never_ends_is_not_read() -> None:
    with pytest.raises(UnusableInput, match="this is no regular file"):
        read_file("/dev/zero", max_bytes=3)


def test_no_more_memory_is_asked_for_than_the_file_needs(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(1000))
    tracemalloc.start()
    try:
        read_file(path, max_bytes=1 << 30)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_a_file_is_written_whole_with_the_usual_rights(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    mask = os.umask(0o027)
    try:
        write_whole(path, b"new")
    finally:
        os.umask(mask)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with pytest.raises(UsageError, match=r"the file exists already; pass --force"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    write_whole(path, b"new", force=True)
    assert path.read_bytes() == b"new"


def test_an_output_path_that_cannot_be_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this is a folder; name a file"):
        check_output_path(tmp_path, force=True)
    with pytest.raises(UsageError, match="the folder for it does not exist"):
        check_output_path(tmp_path / "missing" / "out.bin")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_or_device_is_never_replaced_by_a_file(tmp_path: Path, linked: bool) -> None:
    path = pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    if linked:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    for force in (False, True):
        with pytest.raises(UsageError, match="this is no regular file; name another file"):
            write_whole(path, b"new", force)
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert path.is_symlink() == linked


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_a_file_that_another_program_takes_away_is_in_nobody_s_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    path = tmp_path / "shared"
    real = Path.stat
    seen = []

    def gone_afterwards(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = real(self, follow_symlinks=follow_symlinks)
        if self == path:
            seen.append(self)
            if len(seen) == looks:
                path.unlink()
        return found

    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "stat", gone_afterwards)
    write_whole(path, b"new", force=True)
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
def test_nothing_is_left_after_a_fault(tmp_path: Path, fault: type[BaseException]) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")

    def write() -> None:
        with whole_file(path, force=True) as beside:
            beside.write_bytes(b"half")
            raise fault

    with pytest.raises(fault):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_full_or_closed_disk_is_named_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MissingHere) as caught:
        write_whole(path, b"new", force=True)
    assert os.strerror(number).lower() in str(caught.value)
    assert caught.value.exit_code == 6
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_takes_no_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(MissingHere, match=r"cannot be written \(permission denied\)"):
        write_whole(tmp_path / "out.bin", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_folder_is_named_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_output_path(tmp_path / "out.bin")
    assert list(tmp_path.iterdir()) == []

    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(MissingHere, match=r"out\.bin: the file cannot be written \(read-only"):
        check_output_path(tmp_path / "out.bin", force=True)
