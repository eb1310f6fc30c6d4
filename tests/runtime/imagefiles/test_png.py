"""PNG: every depth, every row, every checksum."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.pixels import decode

Refusals = Callable[..., tuple[int, int]]


def drawn(height: int = 48, width: int = 64, bands: int = 3) -> NDArray[np.uint8]:
    """Gradients, edges and noise, different in every band."""
    rng = np.random.default_rng([height, width])
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 3, y * 5, x * y, 255 - x * 2], axis=-1).astype(np.uint8)
    image[height // 2 :] = rng.integers(0, 256, (height - height // 2, width, 4), np.uint8)
    return image[..., :bands] if bands > 1 else image[..., 0]


def encoded(format_: str, pixels: NDArray[Any] | None = None, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(drawn() if pixels is None else pixels).save(stream, format_, **options)
    return stream.getvalue()


def opened(data: bytes) -> NDArray[np.uint8]:
    """What Pillow itself makes of a file."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    depth: int,
    color: int,
    rows: list[bytes],
    *extra: bytes,
    size: tuple[int, int],
    interlace: int = 0,
) -> bytes:
    """A PNG of unfiltered rows; ``size`` is (width, height)."""
    header = struct.pack(">IIBBBBB", *size, depth, color, 0, 0, interlace)
    coded = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", coded), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_16bit(color: int, samples: NDArray[np.uint16]) -> bytes:
    rows = [row.astype(">u2").tobytes() for row in samples]
    return png(16, color, rows, size=(samples.shape[1], samples.shape[0]))


def interlaced_png(pixels: NDArray[np.uint8]) -> bytes:
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4)]
    passes += [(1, 0, 2, 2), (0, 1, 1, 2)]
    rows = [row.tobytes() for x, y, dx, dy in passes for row in pixels[y::dy, x::dx] if row.size]
    return png(8, 2, rows, size=(pixels.shape[1], pixels.shape[0]), interlace=1)


def test_png_of_every_depth() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for depth in (1, 2, 4):
        samples = grey[:, :8] >> (8 - depth)
        bits = np.unpackbits(samples[..., None], axis=2)[:, :, 8 - depth :]
        rows = [row.tobytes() for row in np.packbits(bits.reshape(16, -1), axis=1)]
        wide = samples.astype(int) * 255 // (2**depth - 1)
        pixels = decode(png(depth, 0, rows, size=(8, 16)))
        assert np.array_equal(pixels, np.repeat(wide[..., None], 3, axis=2))
    color = np.random.default_rng(0).integers(0, 2**16, (16, 16, 4)).astype(np.uint16)
    color[0, :, 3] = 65535
    for kind, samples16 in ((0, color[..., 0]), (2, color[..., :3])):
        high = (samples16 >> 8).reshape(16, 16, -1)
        assert np.array_equal(
            decode(png_16bit(kind, samples16)), np.broadcast_to(high, (16, 16, 3))
        )
    assert np.array_equal(decode(png_16bit(6, color))[0], color[0, :, :3] >> 8)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (5, 5), (17, 23)])
def test_interlaced_png(size: tuple[int, int]) -> None:
    assert np.array_equal(decode(interlaced_png(drawn(*size))), drawn(*size))


@pytest.mark.tensorflow
def test_png_equals_tensorflow_bit_for_bit() -> None:
    import tensorflow as tf

    rng = np.random.default_rng(0)
    files = [encoded("PNG"), encoded("PNG", drawn(9, 11, 1)), interlaced_png(drawn(17, 23))]
    palette = Image.fromarray(drawn()).quantize(40)
    stream = io.BytesIO()
    palette.save(stream, "PNG")
    files.append(stream.getvalue())
    files.append(png_16bit(0, rng.integers(0, 2**16, (9, 8)).astype(np.uint16)))
    files.append(png_16bit(2, rng.integers(0, 2**16, (9, 8, 3)).astype(np.uint16)))
    for data in files:
        assert np.array_equal(decode(data), tf.io.decode_png(data, channels=3).numpy())


@pytest.mark.parametrize("options", [{}, {"bits": 4}])
def test_png_cut_or_changed_anywhere_is_refused(
    options: dict[str, int], refusals: Refusals
) -> None:
    image = Image.fromarray(drawn(20, 24))
    stream = io.BytesIO()
    (image.quantize(16) if options else image).save(stream, "PNG", **options)
    data = stream.getvalue()
    whole = decode(data)
    assert refusals((data[:at] for at in range(1, len(data), 3)), whole)[1] == 0
    zeroed = (data[:at] + bytes(len(data) - at) for at in range(1, len(data) - 12, 3))
    assert refusals(zeroed, whole)[1] == 0
    changed = (data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(8, len(data), 3))
    assert refusals(changed, whole)[1] == 0
    assert refusals([data + b"trailer"], whole) == (0, 1)


def test_png_with_too_few_rows_is_refused() -> None:
    rows = [row.tobytes() for row in drawn(10, 8)]
    assert decode(png(8, 2, rows, size=(8, 10))).shape == (10, 8, 3)
    short = png(8, 2, rows[:9], size=(8, 10))
    assert opened(short)[9].max() == 0  # Pillow takes it
    with pytest.raises(UnusableInput, match="ends before its last row"):
        decode(short)
    short = png(8, 2, [*rows[:9], rows[9][:-1]], size=(8, 10))
    with pytest.raises(UnusableInput, match="ends before its last row"):
        decode(short)


def test_png_that_inflates_without_end_is_not_inflated() -> None:
    rows = [bytes(2**24)] * 4
    assert decode(png(8, 0, rows, size=(8, 1))).shape == (1, 8, 3)


def test_png_clear_color_of_every_kind_is_white() -> None:
    cases = [
        (1, 0, b"\x40", 1, [0, 255, 0]),  # 0 1 0
        (2, 0, b"\x1b", 2, [0, 85, 255]),  # 0 1 2
        (4, 0, b"\x07\xf0", 7, [0, 255, 255]),
        (8, 0, bytes([9, 8, 7]), 8, [9, 255, 7]),
    ]
    for depth, color, row, value, expected in cases:
        extra = chunk(b"tRNS", struct.pack(">H", value))
        pixels = decode(png(depth, color, [row], extra, size=(3, 1)))
        assert pixels[0].tolist() == [[grey] * 3 for grey in expected]
    extra = chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))
    pixels = decode(png(8, 2, [bytes([1, 2, 3, 1, 2, 4])], extra, size=(2, 1)))
    assert pixels.tolist() == [[[255, 255, 255], [1, 2, 4]]]
    wide = png(16, 0, [bytes(2)], chunk(b"tRNS", bytes(2)), size=(1, 1))
    with pytest.raises(UnusableInput, match="16-bit PNG with a transparent colour"):
        decode(wide)


def test_animated_png_gives_its_still_image() -> None:
    data = encoded("PNG", save_all=True, append_images=[Image.fromarray(drawn()[::-1].copy())])
    assert b"acTL" in data
    assert np.array_equal(decode(data), drawn())


def test_png_with_broken_structure_is_refused() -> None:
    row = [bytes(3)]
    bad = [
        png(8, 2, row, size=(1, 0)),
        png(7, 2, row, size=(1, 1)),
        png(8, 5, row, size=(1, 1)),
        png(8, 2, row, size=(1, 1), interlace=2),
        png(8, 2, row, chunk(b"IHDR", bytes(13)), size=(1, 1)),
        png(8, 2, row, chunk(b"tRNS", bytes(2)), size=(1, 1)),
        png(8, 2, row, chunk(b"CgBI", bytes(4)), size=(1, 1)),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""),
        png(8, 3, [b"\0"], size=(1, 1))[:-12],
    ]
    for data in bad:
        with pytest.raises(UnusableInput):
            decode(data)


def test_a_size_over_the_limit_is_refused_from_the_header() -> None:
    data = png(8, 2, [b""], size=(2**31 - 1, 2**31 - 1))
    with pytest.raises(UnusableInput, match=r"pixels, more than the 100,000,000 allowed; scale"):
        decode(data)
