"""The drawn image files of a kit: one for every way in which ports of the pixels go wrong.

They are synthetic (`lesionlite_export.drawn`). Sizes follow the network's input, so that the files
stay small and are reduced as much as photos are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lesionlite_export.kit import encode
from lesionlite_export.kit.drawings import Drawings, Pixels
from lesionlite_runtime.pixels import MIN_SIDE

FOLDER = "images"
_FLAT_STEP = 16
_RULED = 5  # pixels from line to line
_SENSITIVE = 8  # drawings whose scores move most easily


@dataclass(frozen=True)
class KitFile:
    """An image file of a kit: its path in it, its bytes, and what it is there for."""

    file: str
    data: bytes
    purpose: str


@dataclass(frozen=True)
class Draft:
    """A file that is still to be made: of any drawing, by its number.

    ``first`` is the drawing that it is made of where nothing tells a better one.
    """

    name: str
    purpose: str
    make: Callable[[int], bytes]
    first: int

    def file(self, drawing: int) -> KitFile:
        """The file, made of a drawing."""
        return KitFile(f"{FOLDER}/{self.name}", self.make(drawing), self.purpose)


def drafts(drawings: Drawings, near: Sequence[Pixels]) -> Iterator[Draft]:
    """Every drawn file, in the kit's order.

    Args:
        drawings: what they are made of.
        near: pixels of the input's size whose scores lie near the threshold.
    """
    has_room = min(drawings.exact[0].shape[:2]) >= MIN_SIDE
    if has_room:
        yield from _controls(drawings)
    for number, (name, purpose, make) in enumerate(_pictures(drawings)):
        yield Draft(name, purpose, make, number % _SENSITIVE)
    if has_room:
        for number, pixels in enumerate(near):
            name, purpose = f"threshold-{number + 1}.png", "a score close to the threshold"
            yield Draft(name, purpose, _always(encode.png(pixels)), 0)


def _controls(drawings: Drawings) -> Iterator[Draft]:
    alone = "of the input's size: range and model alone"
    black = encode.png(np.zeros_like(drawings.exact[0]))
    yield Draft("control-black.png", f"black, {alone}", _always(black), 0)

    def grey(number: int) -> bytes:
        image = Image.fromarray(drawings.exact[number % len(drawings.exact)])
        return encode.png(np.asarray(image.convert("L").convert("RGB")))

    def color(number: int) -> bytes:
        return encode.png(drawings.exact[number % len(drawings.exact)])

    for number in range(2):
        name = f"control-grey-{number + 1}.png"
        yield Draft(name, f"grey in three channels, {alone}", grey, number)
    for number in range(3):
        name = f"control-colour-{number + 1}.png"
        yield Draft(name, "of the input's size: nothing to turn or to resize", color, number)


def _pictures(drawings: Drawings) -> Iterator[tuple[str, str, Callable[[int], bytes]]]:
    """Name, purpose and maker of each file whose pixels are decoded, turned or resized."""
    sized = drawings.sized
    reduced = "reduced three to four times, without loss"
    yield "large-1.png", reduced, lambda n: encode.png(_flat(sized(n, 2.9, 3.9)))
    yield "large-2.png", reduced, lambda n: encode.png(_ruled(_flat(sized(n, 2.7, 3.5))))
    yield "odd.png", "odd sizes, without loss", lambda n: encode.png(sized(n, 1.13, 1.49))
    yield "small.png", "smaller than the input", lambda n: encode.png(sized(n, 0.43, 0.58))
    yield "wide.png", "1:3", lambda n: encode.png(_flat(sized(n, 0.7, 2.1)))
    yield "tall.png", "3:1", lambda n: encode.png(_flat(sized(n, 3.3, 1.1)))
    yield (
        "large.jpg",
        "a JPEG of more than twice the input: not to be decoded at a fraction of its size",
        lambda n: encode.jpeg(_ruled(_flat(sized(n, 2.6, 3.5))), subsampled=True),
    )
    for value in range(2, 9):
        yield f"orientation-{value}.jpg", f"EXIF orientation {value}", _turned(drawings, value)
    yield (
        "orientation-6.png",
        "EXIF orientation 6 in a PNG (chunk eXIf)",
        lambda n: encode.png(sized(n, 0.8, 1.1), orientation=6),
    )
    yield from _kinds(lambda n: sized(n, 0.93, 1.21))


def _turned(drawings: Drawings, orientation: int) -> Callable[[int], bytes]:
    return lambda n: encode.jpeg(drawings.sized(n, 0.95, 1.25), orientation=orientation)


def _kinds(picture: Callable[[int], Pixels]) -> Iterator[tuple[str, str, Callable[[int], bytes]]]:
    yield "subsampled.jpg", "JPEG, 4:2:0", lambda n: encode.jpeg(picture(n), subsampled=True)
    yield (
        "progressive.jpg",
        "JPEG, progressive",
        lambda n: encode.jpeg(picture(n), subsampled=True, progressive=True),
    )
    yield "grey.jpg", "JPEG, grey: one channel", lambda n: encode.jpeg(picture(n), mode="L")
    yield (
        "cmyk.jpg",
        "JPEG, CMYK as Adobe stores it",
        lambda n: encode.jpeg(encode.inks(picture(n)), mode="CMYK"),
    )
    yield (
        "grey.png",
        "PNG, grey: one channel",
        lambda n: encode.png(np.asarray(Image.fromarray(picture(n)).convert("L"))),
    )
    yield (
        "palette.png",
        "PNG, 64 colours in a palette",
        lambda n: encode.palette_png(picture(n)),
    )
    yield (
        "16-bit.png",
        "PNG, 16 bits a channel",
        lambda n: encode.png(_deep(_halved(picture(n)))),
    )
    yield (
        "alpha.png",
        "PNG, partly transparent",
        lambda n: encode.png(_vignetted(_halved(picture(n)))),
    )
    yield (
        "profile.png",
        "PNG, a colour profile that exchanges red and blue",
        lambda n: encode.png(_swapped(_halved(picture(n))), icc=encode.swapped_profile()),
    )


def _always(data: bytes) -> Callable[[int], bytes]:
    return lambda _: data


def _halved(pixels: Pixels) -> Pixels:
    """Half of the pixels: files of these kinds are large."""
    height, width = (max(MIN_SIDE + 1, round(side * 0.7)) for side in pixels.shape[:2])
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _swapped(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[..., ::-1])


def _flat(pixels: Pixels) -> Pixels:
    """Flat areas with sharp edges in place of noise: a tenth of the bytes, and more to alias."""
    smooth = np.asarray(Image.fromarray(pixels).filter(ImageFilter.MedianFilter(5)))
    return smooth // _FLAT_STEP * _FLAT_STEP


def _ruled(pixels: Pixels) -> Pixels:
    """Lines a pixel wide, white across and dark down: a resize that skips pixels shows them."""
    ruled = pixels.copy()
    ruled[::_RULED] = 255 - (255 - ruled[::_RULED]) // 4
    ruled[:, ::_RULED] //= 4
    return ruled


def _deep(pixels: Pixels) -> NDArray[np.uint16]:
    """16 bits, whose lower byte is a picture as well, but another."""
    high = pixels.astype(np.uint16) << np.uint16(8)
    return np.asarray(high | (255 - pixels), np.uint16)


def _vignetted(pixels: Pixels) -> Pixels:
    """RGBA: opaque in the middle, clear in the corners, with other colours behind what is clear."""
    rows, columns = (np.linspace(-1, 1, side) for side in pixels.shape[:2])
    away = np.hypot(rows[:, None], columns)
    alpha = np.clip(np.rint(255 * (1.5 - 1.2 * away)), 0, 255).astype(np.uint8)
    behind = np.where(alpha[..., None] < 255, 255 - pixels, pixels)
    return np.dstack([behind, alpha])
