"""Images and their classes, found in class folders, or in a flat folder with ISIC's CSV files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lesionlite_export.manifest import class_folders, is_image_file
from lesionlite_runtime.errors import UnusableInput, UsageError, printable
from lesionlite_training.isic import (
    UNKNOWN,
    Described,
    class_key,
    read_ground_truth,
    read_metadata,
)

ALL = "all"


@dataclass(frozen=True)
class Classes:
    """The classes that a user has named: their labels, and those that are left out."""

    labels: Mapping[str, int]
    dropped: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        both = sorted(self.dropped & set(self.labels))
        if both:
            raise UsageError(f"{both[0]} has a label and is left out", "decide for one")

    def refuse(self, names: Sequence[str], place: Path, count: int = 0) -> UnusableInput:
        """The error for a class that is not named: ``names`` from the most special one on."""
        name, *wider = map(printable, names)
        images = f" of {count:,} images" if count else ""
        within = f", within {', within '.join(wider)}," if wider else ""
        return UnusableInput(
            f"the class {name}{images}{within} has no label",
            f"give it one (--label {_quoted(name, '=0')} or =1), or leave it out "
            f"(--drop {_quoted(name)})",
            place,
        )

    def by_key(self) -> dict[str, str]:
        """The names as given, by what names in a CSV are compared by.

        Raises:
            UsageError: when two of them cannot be told apart.
        """
        keys: dict[str, str] = {}
        for name in [*self.labels, *sorted(self.dropped)]:
            other = keys.setdefault(class_key(name), name)
            if other != name:
                raise UsageError(f"{other} and {name} are the same class", "name it once")
        return keys


@dataclass(frozen=True)
class SplitImages:
    """The images of one split by class, and how many files and rows were not taken.

    ``dropped`` files are of a class that is left out, ``unlisted`` ones have no row in the CSV,
    and ``missing`` rows have no file. ``described`` is by image id, and may name others too.
    """

    split: str
    root: Path
    classes: Mapping[str, tuple[Path, ...]]
    dropped: int = 0
    unlisted: int = 0
    missing: int = 0
    described: Mapping[str, Described] = field(default_factory=dict)


def is_flat(folder: Path) -> bool:
    """Whether images lie in ``folder`` itself, and none one or two folders below it."""
    below = [inner for outer in class_folders(folder) for inner in (outer, *class_folders(outer))]
    return _holds_images(folder) and not any(map(_holds_images, below))


def read_class_folders(
    folder: Path, classes: Classes, described: Mapping[str, Described]
) -> tuple[SplitImages, ...]:
    """The images of ``folder/SPLIT/CLASS/``, or of ``folder/CLASS/`` as the one split ``all``.

    Raises:
        UnusableInput: when there is no class folder, or a class is not named.
    """
    inner = class_folders(folder)
    if not inner:
        raise UnusableInput("there is no class folder in it", "see --help for the layout", folder)
    known = {*classes.labels, *classes.dropped}
    if any(path.name in known for path in inner):
        return (_split(ALL, folder, classes, described),)
    return tuple(_split(path.name, path, classes, described) for path in inner)


def read_flat_folder(
    folder: Path,
    classes: Classes,
    split: str = ALL,
    ground_truth: Path | None = None,
    metadata: Sequence[Path] = (),
) -> SplitImages:
    """The images that lie in ``folder`` itself, with the classes that a CSV gives them.

    The classes come from ``ground_truth``; where that is None, from the one
    ``*GroundTruth*.csv`` in the folder or beside it; where there is none, from the diagnoses in
    ``metadata``, which is the one ``*metadata.csv`` in the folder where none is given. Of an
    image's diagnoses the most special one that is named counts. Names are compared by `class_key`.

    Raises:
        UnusableInput: when there is no such CSV, or more than one to choose from, an image has two
            files, or a class is not named.
    """
    truth_file = ground_truth or _ground_truth_near(folder)
    described = read_descriptions(metadata or _metadata_in(folder))
    if truth_file is not None:
        names: dict[str, tuple[str, ...]] = {
            name: (value,) for name, value in read_ground_truth(truth_file).items()
        }
    else:
        names = {name: row.diagnoses or (UNKNOWN,) for name, row in described.items()}
    if not names:
        raise UnusableInput(
            "its images are in no class folders, and no CSV beside them names their classes",
            "pass --ground-truth or --metadata",
            folder,
        )
    files = _by_id(folder)
    images, dropped = _classified(names, files, classes, truth_file or folder)
    return SplitImages(
        split,
        folder,
        images,
        dropped,
        unlisted=len(files.keys() - names.keys()),
        missing=len(names.keys() - files.keys()),
        described=described,
    )


def read_descriptions(files: Iterable[Path]) -> dict[str, Described]:
    """What several metadata files say together.

    Raises:
        UnusableInput: when two of them describe one image.
    """
    described: dict[str, Described] = {}
    for file in files:
        found = read_metadata(file)
        twice = sorted(described.keys() & found.keys())
        if twice:
            raise UnusableInput(
                f"the image {printable(twice[0])} stands in another metadata file too",
                "pass one of them",
                file,
            )
        described |= found
    return described


def _classified(
    names: Mapping[str, tuple[str, ...]],
    files: Mapping[str, Path],
    classes: Classes,
    source: Path,
) -> tuple[dict[str, tuple[Path, ...]], int]:
    """The files of each class, and how many are of one that is left out."""
    known = classes.by_key()
    images: dict[str, list[Path]] = {}
    unnamed: Counter[tuple[str, ...]] = Counter()
    dropped = 0
    for name, path in files.items():
        if name not in names:
            continue
        chosen = next((known[k] for k in map(class_key, names[name]) if k in known), None)
        if chosen is None:
            unnamed[names[name]] += 1
        elif chosen in classes.dropped:
            dropped += 1
        else:
            images.setdefault(chosen, []).append(path)
    if unnamed:
        names_of_it, count = unnamed.most_common(1)[0]
        raise classes.refuse(names_of_it, source, count)
    return {name: tuple(images[name]) for name in sorted(images)}, dropped


def _by_id(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if is_image_file(path):
            other = files.setdefault(path.stem, path)
            if other != path:
                raise UnusableInput(
                    f"{printable(other.name)} is the same image id", "remove one of them", path
                )
    return files


def _split(
    split: str, root: Path, classes: Classes, described: Mapping[str, Described]
) -> SplitImages:
    images: dict[str, tuple[Path, ...]] = {}
    dropped = 0
    for folder in class_folders(root):
        found = tuple(path for path in sorted(folder.iterdir()) if is_image_file(path))
        if folder.name in classes.dropped:
            dropped += len(found)
        elif folder.name in classes.labels:
            images[folder.name] = found
        else:
            raise classes.refuse([folder.name], root)
    return SplitImages(split, root, images, dropped, described=described)


def _metadata_in(folder: Path) -> list[Path]:
    found = _files(folder, lambda name: name.endswith("metadata.csv"))
    return _at_most_one(found, folder, "--metadata")


def _ground_truth_near(folder: Path) -> Path | None:
    def fits(name: str) -> bool:
        return "groundtruth" in name and name.endswith(".csv")

    found = [*_files(folder, fits), *_files(folder.parent, fits)]
    chosen = _at_most_one(found, folder, "--ground-truth")
    return chosen[0] if chosen else None


def _files(folder: Path, fits: Callable[[str], bool]) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if fits(p.name.casefold()) and p.is_file())
    except OSError:  # the folder above may be closed to us
        return []


def _at_most_one(found: list[Path], folder: Path, option: str) -> list[Path]:
    if len(found) > 1:
        names = " and ".join(printable(path.name) for path in found)
        raise UnusableInput(f"{names} lie in it or beside it", f"pass one with {option}", folder)
    return found


def _holds_images(folder: Path) -> bool:
    return any(is_image_file(path) for path in folder.iterdir())


def _quoted(name: str, end: str = "") -> str:
    return f"'{name}{end}'" if " " in name else f"{name}{end}"
