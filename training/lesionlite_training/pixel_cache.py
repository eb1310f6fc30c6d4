"""Images decoded once: their tensors on disk, keyed by the file's bytes and the contract's input.

One file an image: its pixels, and behind them their SHA-256. Files are written beside and renamed,
so two runs may share a cache and one may be killed; what is damaged all the same is decoded anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from lesionlite_export.manifest import LabelledImage, Manifest
from lesionlite_export.progress import Reporter
from lesionlite_export.representative import (
    ImageTensor,
    PreparedImage,
    Unusable,
    tensor_of_bytes,
    usable_images,
)
from lesionlite_runtime.codec import canonical_json
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import LesionliteError, MissingHere, UnusableInput
from lesionlite_runtime.files import read_file, whole_file
from lesionlite_runtime.pixels import MAX_FILE_BYTES, pixels_sha256

_DIGEST_BYTES = 32
# Decoded images that wait for their turn; bounds the memory, whatever the number of images.
_AHEAD = 16


def cache_folder() -> Path:
    """Where decoded images and features are kept: ``$LESIONLITE_CACHE``, or the user's cache."""
    named = os.environ.get("LESIONLITE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(named) if named else Path(base or Path.home() / ".cache", "lesionlite")


@dataclass(frozen=True)
class CachedImage:
    """An image whose tensor lies in the cache; it is read anew at every use."""

    image: LabelledImage
    sha256: str
    image_input: ImageInput
    file: Path
    file_sha256: str | None = None

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """uint8 ``[H, W, 3]``.

        Raises:
            UnusableInput: when the cache has lost the image, and the image itself has changed.
        """
        found = _read(self.file, self.image_input)
        if found is not None:
            return found
        data = read_file(self.image.path, MAX_FILE_BYTES)
        pixels = tensor_of_bytes(data, self.image_input, self.image.path)
        if pixels_sha256(pixels) != self.sha256:
            raise UnusableInput(
                "the image was changed while it was in use", "start again", self.image.path
            )
        return pixels


@dataclass(frozen=True)
class Images:
    """The images of a set, and those that could not be used."""

    images: tuple[ImageTensor, ...]
    unusable: tuple[Unusable, ...]


def cached_images(
    manifest: Manifest, image_input: ImageInput, cache: Path | None, label: str, report: Reporter
) -> Images:
    """Every image of ``manifest`` as the network's input, in order, decoded on all cores.

    Args:
        manifest: the images.
        image_input: what the contract makes of them.
        cache: folder to keep the tensors in; None to hold them in memory.
        label: what the progress is called.
        report: who is told of it.

    Raises:
        UnusableInput: when none can be used.
        MissingHere: when the cache cannot be written.
    """
    items = _each(manifest.images, image_input, cache)
    with contextlib.closing(items):
        tracked = report.track(items, label, len(manifest.images))
        return Images(*usable_images(tracked, manifest.source))


def _each(
    images: Sequence[LabelledImage], image_input: ImageInput, cache: Path | None
) -> Generator[ImageTensor | Unusable]:
    folder = None if cache is None else cache / "pixels" / _input_key(image_input)
    waiting: deque[Future[ImageTensor | Unusable]] = deque()
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        for image in images:
            waiting.append(pool.submit(_one, image, image_input, folder))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _one(
    image: LabelledImage, image_input: ImageInput, folder: Path | None
) -> ImageTensor | Unusable:
    try:
        data = read_file(image.path, MAX_FILE_BYTES)
        file = None if folder is None else _place(folder, data)
        found = None if file is None else _read(file, image_input)
        pixels = tensor_of_bytes(data, image_input, image.path) if found is None else found
    except LesionliteError as error:
        return Unusable(image, error)
    if file is None:
        return PreparedImage(image, pixels, pixels_sha256(pixels))
    if found is None:
        _write(file, pixels)
    return CachedImage(image, pixels_sha256(pixels), image_input, file)


def _place(folder: Path, data: bytes) -> Path:
    name = hashlib.sha256(data).hexdigest()
    return folder / name[:2] / name


def _input_key(image_input: ImageInput) -> str:
    """What, beside the file's bytes, decides the pixels: the contract's input, and the decoder."""
    return hashlib.sha256(
        canonical_json({"input": asdict(image_input), "pillow": PIL.__version__})
    ).hexdigest()[:16]


def _read(file: Path, image_input: ImageInput) -> NDArray[np.uint8] | None:
    """The pixels; None for nothing, or a file that is damaged."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    shape = (image_input.height, image_input.width, 3)
    pixels, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if len(pixels) != np.prod(shape) or hashlib.sha256(pixels).digest() != digest:
        return None
    return np.frombuffer(pixels, np.uint8).reshape(shape)


def _write(file: Path, pixels: NDArray[np.uint8]) -> None:
    data = pixels.tobytes()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file, force=True, sync=False) as beside:
            beside.write_bytes(data + hashlib.sha256(data).digest())
    except (OSError, LesionliteError) as error:
        reason = error.problem if isinstance(error, LesionliteError) else str(error.strerror)
        raise MissingHere(
            f"decoded images cannot be kept there ({reason.lower()})",
            "free some space, name another folder in LESIONLITE_CACHE, or pass --no-cache",
            file.parent,
        ) from error
