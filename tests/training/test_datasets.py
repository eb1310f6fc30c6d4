"""A data set from a local server to its folders, with every break on the way."""

from __future__ import annotations

import hashlib
import io
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError
from lesionlite_training import datasets
from lesionlite_training.datasets import DATASETS, Dataset, Fetched, fetch_dataset
from lesionlite_training.fetch import RemoteFile

from .unreliable_server import Unreliable, serving


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, hashlib.sha256(name.encode()).digest() * 50)
    return stream.getvalue()


ARCHIVES = {
    "train": zipped("train/melanoma/1.jpg", "train/nevus/2.jpg", "train/nevus/3.jpg"),
    "valid": zipped("melanoma/4.jpg", "nevus/5.jpg", "__MACOSX/nevus/._5.jpg"),
}


@pytest.fixture
def server() -> Iterator[Unreliable]:
    with serving() as plan:
        plan.files.update({f"{split}.zip": data for split, data in ARCHIVES.items()})
        yield plan


@pytest.fixture
def small(server: Unreliable) -> Dataset:
    return at(server.base)


def at(base: str, **changes: bytes) -> Dataset:
    return Dataset(
        "small",
        {
            split: RemoteFile(f"{base}/{split}.zip", len(data), hashlib.sha256(data).hexdigest())
            for split, data in (ARCHIVES | changes).items()
        },
        {"melanoma": 1, "nevus": 0},
    )


def fetch(dataset: Dataset, folder: Path, *splits: str, **options: Any) -> Fetched:
    return fetch_dataset(dataset, folder, splits, wait=lambda _: None, **options)


def listing(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


IMAGES = [
    "train/melanoma/1.jpg",
    "train/nevus/2.jpg",
    "train/nevus/3.jpg",
    "valid/melanoma/4.jpg",
    "valid/nevus/5.jpg",
]


def test_both_layouts_of_archives(small: Dataset, tmp_path: Path) -> None:
    fetched = fetch(small, tmp_path / "deep" / "set")
    assert listing(tmp_path / "deep" / "set") == IMAGES
    assert fetched.to_json() == {
        "schema": "lesionlite.data_fetch/1",
        "dataset": "small",
        "folder": str(tmp_path / "deep" / "set"),
        "splits": [
            {
                "split": "train",
                "folder": str(tmp_path / "deep" / "set" / "train"),
                "counts": {"melanoma": 1, "nevus": 2},
                "was_there": False,
            },
            {
                "split": "valid",
                "folder": str(tmp_path / "deep" / "set" / "valid"),
                "counts": {"melanoma": 1, "nevus": 1},
                "was_there": False,
            },
        ],
    }


def test_what_is_there_is_left_alone(small: Dataset, server: Unreliable, tmp_path: Path) -> None:
    fetch(small, tmp_path, "valid")
    assert listing(tmp_path) == IMAGES[3:]
    (tmp_path / "train").mkdir()  # an empty folder is nothing
    server.asked.clear()
    fetched = fetch(small, tmp_path)
    assert [split.was_there for split in fetched.splits] == [False, True]
    assert len(server.asked) == 1
    assert listing(tmp_path) == IMAGES


def test_an_archive_put_there_by_hand(small: Dataset, server: Unreliable, tmp_path: Path) -> None:
    (tmp_path / "train.zip").write_bytes(ARCHIVES["train"])
    fetch(small, tmp_path, "train", keep_archives=True)
    assert server.asked == []
    assert listing(tmp_path) == ["train.zip", *IMAGES[:3]]
    (tmp_path / "valid.zip").write_bytes(ARCHIVES["valid"][:-1])
    with pytest.raises(UnusableInput, match=r"valid\.zip: it has [\d,]+ bytes, not"):
        fetch(small, tmp_path)
    assert (tmp_path / "valid.zip").exists()


def test_a_break_in_the_second_archive_keeps_the_first(
    small: Dataset, server: Unreliable, tmp_path: Path
) -> None:
    server.drop_after = [10**6] + [20] + [0] * 10
    with pytest.raises(MissingHere) as caught:
        fetch(small, tmp_path)
    assert str(caught.value).endswith(
        f"; run this again to go on from there, or download {server.url('valid.zip')} by hand "
        f"into {tmp_path} first"
    )
    assert listing(tmp_path) == [*IMAGES[:3], "valid.zip.part"]
    server.drop_after, server.asked = [], []
    fetch(small, tmp_path)
    assert server.asked == ["bytes=20-"]
    assert listing(tmp_path) == IMAGES


def test_without_a_network_every_archive_is_named(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(MissingHere) as caught:
        fetch(at(base), tmp_path)
    assert str(caught.value) == (
        f"{base}/train.zip: it cannot be downloaded (connection refused); run this again to go on "
        f"from there, or download {base}/train.zip and {base}/valid.zip by hand into {tmp_path} "
        "first"
    )
    assert listing(tmp_path) == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no zip", "this is no zip, or a damaged one"),
        (zipped("train/../../x.jpg"), "does not stay in its folder"),
        (zipped("train/readme.txt"), "there are no class folders with images in it"),
        (zipped("1.jpg"), "there are no class folders with images in it"),
    ],
)
def test_a_bad_archive_leaves_no_folder(
    server: Unreliable, tmp_path: Path, data: bytes, words: str
) -> None:
    server.files["train.zip"] = data
    with pytest.raises(UnusableInput, match=words):
        fetch(at(server.base, train=data), tmp_path, "train")
    assert [path.name for path in tmp_path.iterdir()] == ["train.zip"]


def test_a_killed_run_leaves_nothing_in_the_way(small: Dataset, tmp_path: Path) -> None:
    stale = tmp_path / ".train.unpacking" / "train" / "nevus"
    stale.mkdir(parents=True)
    (stale / "half.jpg").touch()
    fetch(small, tmp_path)
    assert listing(tmp_path) == IMAGES


def test_ctrl_c_while_unpacking(
    small: Dataset, server: Unreliable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(archive: Path, folder: Path, meter: object) -> int:
        (folder / "half.jpg").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(datasets, "unpack_zip", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(small, tmp_path)
    assert listing(tmp_path) == ["train.zip"]
    server.asked.clear()
    fetch(small, tmp_path)
    assert len(server.asked) == 1
    assert listing(tmp_path) == IMAGES


def test_space_is_checked_before_anything_is_asked_for(
    small: Dataset, server: Unreliable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, valid = (len(data) for data in ARCHIVES.values())

    class Usage:
        free = 2 * train + 2 * valid - 1

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    needed = datasets._needed(small, tmp_path, ["train", "valid"], keep_archives=True)
    assert needed == 2 * train + 2 * valid
    with pytest.raises(MissingHere, match="are needed on this disk"):
        fetch(small, tmp_path, keep_archives=True)
    assert server.asked == []
    # Without the archives, the second zip takes the place of the first.
    assert datasets._needed(small, tmp_path, ["train", "valid"], keep_archives=False) == max(
        2 * train, train + 2 * valid
    )
    (tmp_path / "train.zip.part").write_bytes(b"x" * 100)
    assert datasets._needed(small, tmp_path, ["train"], keep_archives=False) == 2 * train - 100


def test_a_folder_that_cannot_be_made(small: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MissingHere, match="the folder cannot be made"):
        fetch(small, tmp_path / "file" / "set")


def test_an_unknown_split(small: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="small has no split test; take train, valid"):
        fetch(small, tmp_path / "set", "test")
    assert not (tmp_path / "set").exists()


def test_the_archives_of_isic_2017() -> None:
    archives = DATASETS["isic2017"].archives
    assert {split: remote.name for split, remote in archives.items()} == {
        "train": "train.zip",
        "valid": "valid.zip",
        "test": "test.zip",
    }
    assert sum(remote.size for remote in archives.values()) == 12_129_736_424
    assert all(remote.url.startswith("https://") for remote in archives.values())
