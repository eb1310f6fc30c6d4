"""Data sets that can be fetched: where their archives lie, and how they become folders."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlite_export.manifest import class_folders, is_image_file
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError
from lesionlite_training.fetch import (
    RemoteFile,
    check_file,
    check_space,
    download,
    file_size,
    part_path,
)
from lesionlite_training.meter import Meter
from lesionlite_training.unpack import unpack_zip

FETCH_SCHEMA = "lesionlite.data_fetch/1"
_COURSE = "https://s3-us-west-1.amazonaws.com/udacity-dlnfd/datasets/skin-cancer"


@dataclass(frozen=True)
class Dataset:
    """A data set in the ISIC layout: the archive of each split, and its classes' usual labels."""

    name: str
    archives: Mapping[str, RemoteFile]
    labels: Mapping[str, int]


# The archives that the course "dermatologist-ai" made of ISIC 2017, part 3. Their publisher gives
# sizes and no digests; the checksums inside the zips still find a damaged file.
ISIC2017 = Dataset(
    "isic2017",
    {
        "train": RemoteFile(f"{_COURSE}/train.zip", 5_736_557_430),
        "valid": RemoteFile(f"{_COURSE}/valid.zip", 864_538_487),
        "test": RemoteFile(f"{_COURSE}/test.zip", 5_528_640_507),
    },
    {"melanoma": 1, "nevus": 0, "seborrheic_keratosis": 0},
)
DATASETS = {ISIC2017.name: ISIC2017}


@dataclass(frozen=True)
class FetchedSplit:
    """A split's folder, the images of each class in it, and whether it was there before."""

    split: str
    folder: Path
    counts: Mapping[str, int]
    was_there: bool


@dataclass(frozen=True)
class Fetched:
    """The folder of a data set, with its splits."""

    dataset: str
    folder: Path
    splits: tuple[FetchedSplit, ...]

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.data_fetch/1``."""
        return {
            "schema": FETCH_SCHEMA,
            "dataset": self.dataset,
            "folder": str(self.folder),
            "splits": [
                {
                    "split": split.split,
                    "folder": str(split.folder),
                    "counts": dict(split.counts),
                    "was_there": split.was_there,
                }
                for split in self.splits
            ],
        }


def fetch_dataset(
    dataset: Dataset,
    folder: Path,
    splits: Sequence[str] = (),
    *,
    keep_archives: bool = False,
    meter: Meter | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Fetched:
    """Download and unpack ``dataset`` into ``folder/SPLIT/CLASS/``.

    A split that is there is left alone; an archive that lies in ``folder``, put there by hand, is
    not downloaded. A split's folder appears whole or not at all, after its archive's checks.

    Args:
        dataset: one of `DATASETS`.
        folder: where to; made where it is missing.
        splits: those that are wanted; all by default.
        keep_archives: do not delete an archive when it is unpacked.
        meter: who is told of the bytes that are done.
        wait: see `lesionlite_training.fetch.download`.

    Raises:
        UsageError: when the data set has no such split.
        MissingHere: when there is no network or too little space, or the folder cannot be made.
        UnusableInput: when an archive is not what it should be.
    """
    for split in splits:
        if split not in dataset.archives:
            raise UsageError(
                f"{dataset.name} has no split {split}", f"take {', '.join(dataset.archives)}"
            )
    wanted = [split for split in dataset.archives if split in splits or not splits]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MissingHere(
            f"the folder cannot be made ({(error.strerror or str(error)).lower()})",
            "name another one",
            folder,
        ) from error
    there = {split for split in wanted if _is_there(folder / split)}
    missing = [split for split in wanted if split not in there]
    check_space(folder, _needed(dataset, folder, missing, keep_archives))
    for place, split in enumerate(missing):
        remote = dataset.archives[split]
        archive = folder / remote.name
        if archive.exists():
            check_file(archive, remote, meter)
        else:
            remedy = _by_hand(dataset, folder, missing[place:])
            download(remote, archive, meter, remedy=remedy, wait=wait)
        _unpack_split(archive, folder, split, meter)
        if not keep_archives:
            archive.unlink()
    return Fetched(
        dataset.name,
        folder,
        tuple(
            FetchedSplit(split, folder / split, _counts(folder / split), split in there)
            for split in wanted
        ),
    )


def _needed(dataset: Dataset, folder: Path, missing: Sequence[str], keep_archives: bool) -> int:
    """The most bytes that the missing splits take at a time; photos do not shrink in a zip."""
    used = most = 0
    for split in missing:
        remote = dataset.archives[split]
        archive = folder / remote.name
        used += max(0, remote.size - file_size(archive) - file_size(part_path(archive)))
        used += remote.size
        most = max(most, used)
        if not keep_archives:
            used -= remote.size
    return most


def _by_hand(dataset: Dataset, folder: Path, missing: Sequence[str]) -> str:
    """What to do without the network, for every archive that is still to come."""
    urls = [
        dataset.archives[split].url
        for split in missing
        if not (folder / dataset.archives[split].name).exists()
    ]
    *most, last = urls
    listed = f"{', '.join(most)} and {last}" if most else last
    return f"run this again to go on from there, or download {listed} by hand into {folder} first"


def _unpack_split(archive: Path, folder: Path, split: str, meter: Meter | None) -> None:
    staging = folder / f".{split}.unpacking"
    shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed
    try:
        staging.mkdir()
        unpack_zip(archive, staging, meter)
        # The archive holds the split's folder, or its class folders at the top.
        root = staging / split if (staging / split).is_dir() else staging
        if not sum(_counts(root).values()):
            raise UnusableInput(
                "there are no class folders with images in it",
                "delete it and download it once more",
                archive,
            )
        root.replace(folder / split)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _is_there(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _counts(root: Path) -> dict[str, int]:
    return {
        folder.name: sum(is_image_file(path) for path in folder.iterdir())
        for folder in class_folders(root)
    }
