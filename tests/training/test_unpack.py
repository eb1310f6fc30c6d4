"""Zips from the internet: what is unpacked, and every kind that is refused."""

from __future__ import annotations

import contextlib
import io
import stat
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlite_runtime.errors import LesionliteError, MissingHere, UnusableInput
from lesionlite_training import unpack
from lesionlite_training.unpack import unpack_zip

Entries = dict[str | zipfile.ZipInfo, bytes]


def make_zip(path: Path, entries: Entries, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "set.zip"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inner" / "out").mkdir(parents=True)
    return tmp_path / "inner" / "out"


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def special(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o777) << 16
    return info


def test_files_and_folders(archive: Path, folder: Path) -> None:
    entries: Entries = {
        "train/": b"",
        "train/nevus/": b"",
        "train/nevus/a.jpg": b"a" * 3000,
        "train/melanoma/b c.jpg": b"",
        "./é.txt": b"text",
        special("program.jpg", stat.S_IFREG): b"x",
    }
    assert unpack_zip(make_zip(archive, entries), folder) == 4
    assert files_in(folder) == {
        "train/nevus/a.jpg": b"a" * 3000,
        "train/melanoma/b c.jpg": b"",
        "é.txt": b"text",
        "program.jpg": b"x",
    }
    assert not (folder / "program.jpg").stat().st_mode & 0o111


def test_what_file_managers_leave_is_passed_over(archive: Path, folder: Path) -> None:
    entries: Entries = {
        "a.jpg": b"a",
        "__MACOSX/._a.jpg": b"x",
        "train/.DS_Store": b"x",
        ".git/config": b"x",
    }
    assert unpack_zip(make_zip(archive, entries), folder) == 1
    assert files_in(folder) == {"a.jpg": b"a"}


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"../a.jpg": b"x"}, "the entry ../a.jpg does not stay in its folder"),
        ({"a/../../b.jpg": b"x"}, "does not stay in its folder"),
        ({"/etc/a.jpg": b"x"}, "the entry /etc/a.jpg does not stay"),
        ({"C:\\a.jpg": b"x"}, "the entry C:\\a.jpg has an unsafe name"),
        ({"a\\..\\..\\b.jpg": b"x"}, "has an unsafe name"),
        ({"C:a.jpg": b"x"}, "has an unsafe name"),
        ({special("a.jpg", stat.S_IFLNK): b"/etc/passwd"}, "the entry a.jpg is a link or a device"),
        ({special("a.jpg", stat.S_IFIFO): b""}, "is a link or a device"),
        ({"a.jpg": b"x", "A.JPG": b"y"}, "the entry A.JPG stands there twice"),
        ({"a.jpg": b"x", "./a.jpg": b"y"}, "the entry ./a.jpg stands there twice"),
        ({"a": b"x", "a/b.jpg": b"y"}, "the entry a is a file and a folder"),
        ({"a.jpg": bytes(3_000_000)}, "would swell to 3,000,001"),
        ({"\x1b[2J": b"x"}, "the entry \\x1b[2J has an unsafe name"),
    ],
)
def test_an_archive_that_is_refused_unpacks_nothing(
    archive: Path, folder: Path, entries: Entries, words: str
) -> None:
    make_zip(archive, {"first.jpg": b"x", **entries})
    before = set(archive.parent.rglob("*"))
    with pytest.raises(UnusableInput) as caught:
        unpack_zip(archive, folder)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{archive}: ")
    assert set(archive.parent.rglob("*")) == before


def test_an_unusual_way_of_packing(archive: Path, folder: Path) -> None:
    make_zip(archive, {"a.jpg": b"x"}, zipfile.ZIP_LZMA)
    with pytest.raises(UnusableInput, match=r"a\.jpg is packed in an unusual way"):
        unpack_zip(archive, folder)


def test_an_encrypted_entry(archive: Path, folder: Path) -> None:
    make_zip(archive, {"a.jpg": b"x"})
    with zipfile.ZipFile(archive) as opened:
        infos = opened.infolist()
    infos[0].flag_bits |= 1
    with pytest.raises(UnusableInput, match=r"a\.jpg is encrypted"):
        unpack._entries(archive, infos, folder)


def test_too_many_entries(archive: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MAX_ENTRIES", 1)
    with pytest.raises(UnusableInput, match="there are 2 entries in it, over 1"):
        unpack_zip(make_zip(archive, {"a.jpg": b"x", "b.jpg": b"x"}), folder)


def _lie_about_size(data: bytearray) -> bytearray:
    """The central directory says 5 bytes where 10 are packed."""
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (5).to_bytes(4, "little")
    return data


def _flip_a_byte(data: bytearray) -> bytearray:
    data[data.index(b"0123")] ^= 1
    return data


@pytest.mark.parametrize(
    "damage",
    [
        _lie_about_size,
        _flip_a_byte,
        lambda data: data[: len(data) // 2],
        lambda _: bytearray(b"no zip at all"),
        lambda _: bytearray(),
    ],
    ids=["size", "content", "half", "no zip", "empty"],
)
def test_damage(archive: Path, folder: Path, damage: Callable[[bytearray], bytearray]) -> None:
    make_zip(archive, {"a.jpg": b"0123456789"}, zipfile.ZIP_STORED)
    archive.write_bytes(damage(bytearray(archive.read_bytes())))
    with pytest.raises(UnusableInput) as caught:
        unpack_zip(archive, folder)
    assert "this is no zip, or a damaged one (" in str(caught.value)
    assert str(caught.value).endswith("; delete it and download it once more")


def test_too_little_space(archive: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    unpack_zip(make_zip(archive, {"a.jpg": b"x" * 1000}), folder)
    (folder / "a.jpg").unlink()
    with pytest.raises(MissingHere, match="are needed on this disk"):
        unpack_zip(make_zip(archive, {"a.jpg": b"x" * 1001}), folder)
    assert files_in(folder) == {}


def test_a_link_that_stands_there_is_not_written_through(archive: Path, folder: Path) -> None:
    outside = archive.parent / "precious"
    outside.write_bytes(b"mine")
    (folder / "a.jpg").symlink_to(outside)
    with pytest.raises(MissingHere, match="the archive cannot be unpacked"):
        unpack_zip(make_zip(archive, {"a.jpg": b"x"}), folder)
    assert outside.read_bytes() == b"mine"


NAMES = st.lists(
    st.sampled_from(["a", "A", "..", ".", "", "\\", "C:", "b.jpg", "\n", "é", "__MACOSX"]),
    min_size=1,
    max_size=5,
).map(lambda parts: "/".join(parts) or "/")


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(NAMES, st.binary(max_size=20), max_size=4), st.integers(0, 400))
def test_nothing_ever_lands_outside(entries: dict[str, bytes], damage: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        _unpack_damaged(Path(root), entries, damage)


def _unpack_damaged(root: Path, entries: dict[str, bytes], damage: int) -> None:
    folder = root / "in" / "out"
    folder.mkdir(parents=True)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        for name, data in entries.items():
            opened.writestr(name, data)
    data = bytearray(stream.getvalue())
    if damage < len(data):
        data[damage] ^= 0x55
    (root / "set.zip").write_bytes(data)
    with contextlib.suppress(LesionliteError):
        unpack_zip(root / "set.zip", folder)
    outside = [p for p in root.rglob("*") if folder not in p.parents and p.is_file()]
    assert outside == [root / "set.zip"]
