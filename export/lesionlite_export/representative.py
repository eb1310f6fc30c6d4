"""Representative images: a stratified, seeded sample that calibration runs on, and its list."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.manifest import LabelledImage, Manifest
from lesionlite_export.progress import Reporter, Silent
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import LesionliteError, UnusableInput, forget_locals
from lesionlite_runtime.files import read_file
from lesionlite_runtime.pixels import MAX_FILE_BYTES, image_tensor, pixels_sha256

DEFAULT_SIZE = 200
LIST_COLUMNS = ("filepath", "label", "class", "pixels_sha256")
Prep = TypeVar("Prep", bound="DigestedImage")


class DigestedImage(Protocol):
    """A labelled image and the digest of its tensor, which may be gone from memory."""

    @property
    def image(self) -> LabelledImage:
        """The file and its label."""

    @property
    def sha256(self) -> str:
        """See `pixels_sha256`."""

    @property
    def file_sha256(self) -> str | None:
        """The SHA-256 of the bytes that were read; None where nothing keeps it."""


class ImageTensor(DigestedImage, Protocol):
    """A labelled image, its uint8 tensor ``[H, W, 3]``, in memory or not, and the digest of it."""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The tensor."""


@dataclass(frozen=True)
class PreparedImage:
    """A labelled image as the uint8 tensor ``[H, W, 3]`` that the network gets, and its digest.

    ``file_sha256`` is of the bytes that it was read from, None where nobody asks for it.
    """

    image: LabelledImage
    pixels: NDArray[np.uint8]
    sha256: str
    file_sha256: str | None = None


@dataclass(frozen=True)
class Unusable:
    """An image that could not be read, and why."""

    image: LabelledImage
    error: LesionliteError

    def __post_init__(self) -> None:
        """Let go of the pixels, which the error's trace holds."""
        forget_locals(self.error)


def prepare(
    images: Sequence[LabelledImage], image_input: ImageInput
) -> Iterator[PreparedImage | Unusable]:
    """Each image's tensor by the contract's pixels code, in order."""
    for image in images:
        try:
            data = read_file(image.path, MAX_FILE_BYTES)
            pixels = tensor_of_bytes(data, image_input, image.path)
        except LesionliteError as error:
            yield Unusable(image, error)
        else:
            digest = hashlib.sha256(data).hexdigest()
            yield PreparedImage(image, pixels, pixels_sha256(pixels), digest)


def tensor_of_bytes(data: bytes, image_input: ImageInput, path: Path) -> NDArray[np.uint8]:
    """The tensor of an image file that was read already; ``path`` is named in errors.

    Raises:
        LesionliteError: see `image_tensor`.
    """
    try:
        return image_tensor(
            data, image_input.height, image_input.width, image_input.resize, image_input.fit
        )
    except LesionliteError as error:
        raise type(error)(error.problem, error.remedy, path) from error


def usable_images(
    items: Iterable[Prep | Unusable], source: str
) -> tuple[tuple[Prep, ...], tuple[Unusable, ...]]:
    """The images that can be used, and those that cannot.

    Raises:
        UnusableInput: when none can; ``source``, what lists them, is named in it.
    """
    images: list[Prep] = []
    unusable: list[Unusable] = []
    for item in items:
        if isinstance(item, Unusable):
            unusable.append(item)
        else:
            images.append(item)
    if not images:
        raise UnusableInput(
            f"none of its {len(unusable)} images can be used ({unusable[0].error})",
            "correct the paths",
            source,
        )
    return tuple(images), tuple(unusable)


def stratified_sample(manifest: Manifest, size: int, seed: int) -> tuple[LabelledImage, ...]:
    """``size`` images with the manifest's shares of classes, in the manifest's order.

    The same manifest, size and seed give the same images. Every class gives one at least, where
    ``size`` allows; all images are taken where there are no more than ``size``.

    Raises:
        UnusableInput: when ``size`` is less than 1.
    """
    if size < 1:
        raise UnusableInput(f"{size} representative images are too few", "take 1 or more")
    images = manifest.images
    if len(images) <= size:
        return images
    strata = sorted({image.stratum for image in images})
    counts = np.array([sum(i.stratum == s for i in images) for s in strata])
    shares = _largest_remainder(counts, size)
    generator = np.random.default_rng(seed)
    chosen: set[int] = set()
    for stratum, share in zip(strata, shares, strict=True):
        members = [i for i, image in enumerate(images) if image.stratum == stratum]
        chosen.update(generator.choice(members, int(share), replace=False).tolist())
    return tuple(images[i] for i in sorted(chosen))


@dataclass(frozen=True)
class Sample:
    """Representative images of which no two have equal pixels.

    ``duplicates`` counts the listed images that were left out for having the pixels of another.
    """

    images: tuple[PreparedImage, ...]
    unusable: tuple[Unusable, ...]
    duplicates: int


def distinct_sample(
    manifest: Manifest,
    image_input: ImageInput,
    size: int,
    seed: int,
    report: Reporter | None = None,
) -> Sample:
    """A `stratified_sample` in which equal images count once, as the network's input.

    Only sampled images are read. Where two of them have equal pixels, the later one is struck off
    the manifest and the sample is drawn anew, until there are none; a manifest without equal images
    gives exactly its `stratified_sample`.

    Args:
        manifest: the candidates.
        image_input: the contract's input.
        size: how many images.
        seed: of the sample.
        report: who is told of the progress.

    Raises:
        UnusableInput: when ``size`` is less than 1, or no image can be used.
    """
    report = report or Silent()
    seen: dict[Path, PreparedImage | Unusable] = {}
    left = manifest
    while True:
        chosen = stratified_sample(left, size, seed)
        new = [image for image in chosen if image.path not in seen]
        read = report.track(prepare(new, image_input), "Reading representative images", len(new))
        seen.update((item.image.path, item) for item in read)
        repeated = _repeated([seen[image.path] for image in chosen])
        if not repeated:
            break
        kept = tuple(image for image in left.images if image.path not in repeated)
        left = Manifest(manifest.source, kept)
    images, unusable = usable_images((seen[image.path] for image in chosen), manifest.source)
    return Sample(images, unusable, len(manifest.images) - len(left.images))


def _repeated(items: Sequence[PreparedImage | Unusable]) -> set[Path]:
    """The images that have the pixels of one before them."""
    first: set[str] = set()
    repeated: set[Path] = set()
    for item in items:
        if isinstance(item, PreparedImage):
            if item.sha256 in first:
                repeated.add(item.image.path)
            first.add(item.sha256)
    return repeated


def _largest_remainder(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Whole shares of ``size`` in proportion to ``counts``, at least 1 each where size allows."""
    floor = 1 if size >= len(counts) else 0
    exact = counts / counts.sum() * (size - floor * len(counts))
    shares: NDArray[np.int64] = np.minimum(np.floor(exact).astype(np.int64) + floor, counts)
    order = np.argsort(-(exact - np.floor(exact)), kind="stable")
    while shares.sum() < size:
        for i in order:
            if shares.sum() < size and shares[i] < counts[i]:
                shares[i] += 1
    return shares


def representative_list(prepared: Sequence[PreparedImage], root: Path) -> bytes:
    """The CSV that names the images of a calibration: path below ``root``, class, label, digest."""
    import pandas as pd

    rows = [
        (
            Path(os.path.relpath(p.image.path, root)).as_posix(),
            p.image.label,
            p.image.class_name,
            p.sha256,
        )
        for p in prepared
    ]
    table = pd.DataFrame(rows, columns=list(LIST_COLUMNS))
    # A lone carriage return is quoted by no writer whose lines end without one.
    bare = any("\r" in filepath + class_name for filepath, _, class_name, _ in rows)
    quoting: Literal[0, 1] = csv.QUOTE_ALL if bare else csv.QUOTE_MINIMAL
    stream = io.StringIO()
    table.to_csv(stream, index=False, lineterminator="\n", quoting=quoting)
    return stream.getvalue().encode(errors="backslashreplace")  # for names that are no UTF-8


def list_digest(prepared: Sequence[DigestedImage]) -> str:
    """SHA-256 over the images' digests in order: what a calibration ran on, wherever it lay."""
    return digest_of_digests(p.sha256 for p in prepared)


def digest_of_digests(digests: Iterable[str]) -> str:
    """SHA-256 over hex digests in order, a line each."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def refuse_overlap(representative: Sequence[PreparedImage], proof: Sequence[PreparedImage]) -> None:
    """Refuse sets that share an image: a proof on calibration images proves nothing.

    Raises:
        UnusableInput: when two images have equal pixels.
    """
    by_digest = {p.sha256: p.image.path for p in representative}
    for p in proof:
        if p.sha256 in by_digest:
            raise UnusableInput(
                f"the proof image has the same pixels as the representative {by_digest[p.sha256]}",
                "leave it out of one of the two sets",
                p.image.path,
            )
