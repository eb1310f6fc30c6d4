"""BMP, WebP, HEIC, files that are no image, and files changed by chance."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from lesionlite_runtime.errors import MissingHere, UnusableInput
from lesionlite_runtime.pixels import decode

Refusals = Callable[..., tuple[int, int]]
Outcome = Callable[..., NDArray[np.uint8] | None]


def drawn(height: int = 48, width: int = 64, bands: int = 3) -> NDArray[np.uint8]:
    """Gradients, edges and noise, different in every band."""
    rng = np.random.default_rng([height, width])
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 3, y * 5, x * y, 255 - x * 2], axis=-1).astype(np.uint8)
    image[height // 2 :] = rng.integers(0, 256, (height - height // 2, width, 4), np.uint8)
    return image[..., :bands] if bands > 1 else image[..., 0]


def encoded(format_: str, image: NDArray[Any] | Image.Image | None = None, **options: Any) -> bytes:
    stream = io.BytesIO()
    if not isinstance(image, Image.Image):
        image = Image.fromarray(drawn() if image is None else image)
    image.save(stream, format_, **options)
    return stream.getvalue()


def opened(data: bytes) -> NDArray[np.uint8]:
    """What Pillow itself makes of a file."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("bands", [1, 3])
def test_bmp(bands: int, refusals: Refusals) -> None:
    data = encoded("BMP", drawn(21, 23, bands))
    assert np.array_equal(decode(data), opened(data))
    assert refusals((data[:at] for at in range(1, len(data), 7)), decode(data))[1] == 0


def test_webp(refusals: Refusals) -> None:
    assert np.array_equal(decode(encoded("WEBP", lossless=True)), drawn())
    for options in ({"quality": 80}, {"lossless": True}):
        data = encoded("WEBP", **options)
        assert np.array_equal(decode(data), opened(data))
        assert refusals((data[:at] for at in range(1, len(data), 5)), decode(data))[1] == 0


def test_animated_webp_gives_its_first_frame() -> None:
    later = Image.fromarray(drawn()[::-1].copy())
    data = encoded("WEBP", lossless=True, save_all=True, append_images=[later])
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert np.array_equal(decode(data), drawn())


def test_heic(refusals: Refusals) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(drawn())).save(stream, quality=-1, chroma=444)
    data = stream.getvalue()
    pixels = decode(data)
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels.astype(int) - drawn()).mean() < 2  # lossless but for YCbCr
    assert refusals((data[:at] for at in range(12, len(data), 97)), pixels)[1] == 0
    with pytest.raises(UnusableInput, match="more than the 100 allowed"):
        decode(data, max_pixels=100)


def test_heic_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for brand, other in ((b"heic", b"mif1"), (b"mif1", b"heic"), (b"mif1", b"miaf")):
        with pytest.raises(MissingHere, match=r"pip install 'lesionlite\[heic\]'"):
            decode(struct.pack(">I", 20) + b"ftyp" + brand + bytes(4) + other + bytes(40))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (struct.pack(">I", 20) + b"ftypavif" + bytes(4) + b"mif1" + bytes(9), "AVIF is not read"),
        (struct.pack(">I", 20) + b"ftypisom" + bytes(4) + b"mp42" + bytes(9), "video is not read"),
        (encoded("GIF", drawn(4, 4, 1)), "no JPEG, PNG"),
        (encoded("PPM"), "no JPEG, PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no JPEG, PNG"),
        (b"just some text", "no JPEG, PNG"),
        (b"\0" * 100, "no JPEG, PNG"),
        (b"x", "no JPEG, PNG"),
        (b"BMy dear text", "damaged or of a kind"),
    ],
)
def test_other_files_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(UnusableInput, match=said):
        decode(data)


BOMBS = {
    "bmp": b"BM" + struct.pack("<IIIIiiHHIIIIII", 60, 0, 54, 40, 99999, 99999, 1, 24, *[0] * 6),
    "webp": b"RIFF" + bytes(4) + b"WEBPVP8 " + bytes(10) + struct.pack("<HH", 16383, 16383),
    "webp lossless": b"RIFF" + bytes(4) + b"WEBPVP8L" + bytes(5) + b"\xff" * 4,
    "webp extended": b"RIFF" + bytes(4) + b"WEBPVP8X" + bytes(8) + b"\xff\xff\x00" * 2,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_size_over_the_limit_is_refused_from_the_header(name: str) -> None:
    with pytest.raises(UnusableInput, match=r"pixels, more than the 100,000,000 allowed; scale"):
        decode(BOMBS[name])


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("JPEG", {}),
        ("PNG", {}),
        ("TIFF", {}),
        ("BMP", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0II*\0" + bytes(10)}),
    ],
)
def test_the_limit_is_exact(format_: str, options: dict[str, Any]) -> None:
    data = encoded(format_, **options)
    assert decode(data, max_pixels=48 * 64).shape == (48, 64, 3)
    with pytest.raises(UnusableInput, match="64 x 48 pixels, more than the 3,071 allowed"):
        decode(data, max_pixels=48 * 64 - 1)


PALETTE = Image.fromarray(drawn(8, 9)).quantize(20)
SEEDS = [
    encoded("JPEG", drawn(16, 24)),
    encoded("JPEG", drawn(16, 24), progressive=True),
    encoded("PNG", drawn(8, 9)),
    encoded("PNG", PALETTE, transparency=bytes(range(20))),
    encoded("BMP", drawn(8, 9)),
    encoded("WEBP", drawn(16, 24)),
    encoded("WEBP", drawn(16, 24), lossless=True),
    encoded("TIFF", drawn(8, 9)),
    encoded("TIFF", PALETTE, compression="tiff_lzw"),
    encoded("TIFF", drawn(8, 9, 1).astype(np.uint16), compression="tiff_deflate"),
]


def check(pixels: NDArray[np.uint8] | None) -> None:
    if pixels is not None:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        assert 0 < pixels.shape[0] * pixels.shape[1] <= 5000


@settings(max_examples=500, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    keep=st.floats(0, 1),
)
def test_changed_files_are_decoded_or_refused(
    seed: bytes, changes: list[tuple[float, int]], keep: float, outcome: Outcome
) -> None:
    data = bytearray(seed)
    for place, value in changes:
        # half of the changes in the first 100 bytes, where the structure is
        at = int(place * 2 * 100) if place < 0.5 else int((place * 2 - 1) * len(data))
        data[min(at, len(data) - 1)] = value
    check(outcome(bytes(data[: int(len(data) * keep) if keep < 0.3 else None]), 5000))


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from([seed[:length] for seed in SEEDS for length in (0, 4, 8, 12, 30)]),
    rest=st.binary(max_size=200),
)
def test_random_bytes_are_decoded_or_refused(start: bytes, rest: bytes, outcome: Outcome) -> None:
    if start + rest:
        check(outcome(start + rest, 5000))
