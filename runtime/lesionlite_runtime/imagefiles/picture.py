"""What every image format is reduced to before its colours are read, and how one is refused."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from lesionlite_runtime.errors import UnusableInput


@dataclass(frozen=True)
class Picture:
    """One decoded image with all that is needed to turn it into upright sRGB.

    Attributes:
        image: a loaded Pillow image, as stored; CMYK holds ink (255 is full ink).
        icc: the embedded ICC profile, or None where there is none or it is incomplete.
        orientation: the EXIF orientation, 1 to 8; 1 where none is stated.
        clear: the one pixel value that a PNG declares transparent, in the samples of ``image``.
    """

    image: Image.Image
    icc: bytes | None = None
    orientation: int = 1
    clear: tuple[int, ...] | None = None


def damaged(how: str) -> UnusableInput:
    """The error for an image whose bytes are not whole; ``how`` says what shows it."""
    return UnusableInput(
        f"the image is damaged or cut short ({how})", "copy the file or take the photo again"
    )


def unsupported(what: str) -> UnusableInput:
    """The error for an image whose kind has no agreed meaning in 8-bit RGB."""
    return UnusableInput(f"{what} is not read", "save the image as 8-bit RGB JPEG or PNG")


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse an image by the size in its header, before memory is taken for its pixels."""
    if width < 1 or height < 1:
        raise damaged(f"its header says {width} x {height} pixels")
    if width * height > max_pixels:
        raise UnusableInput(
            f"the image has {width} x {height} pixels, more than the {max_pixels:,} allowed",
            "scale it down first",
        )
