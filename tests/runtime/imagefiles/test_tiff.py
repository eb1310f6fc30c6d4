"""TIFF: byte orders, layouts, compressions, and what is refused."""

from __future__ import annotations

import io
import struct
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


def tiff(order: str, tags: dict[int, tuple[str, tuple[int, ...]]], data: bytes) -> bytes:
    """A TIFF with the given tags (``H`` or ``I`` and values); its data stand at offset 8."""
    at = 8 + len(data) + len(data) % 2
    beyond = at + 6 + 12 * len(tags)
    entries, long_values = b"", b""
    for tag, (code, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{code}", *values)
        entries += struct.pack(order + "HHI", tag, {"H": 3, "I": 4}[code], len(values))
        if len(packed) <= 4:
            entries += packed.ljust(4, b"\0")
        else:
            entries += struct.pack(order + "I", beyond + len(long_values))
            long_values += packed + b"\0" * (len(packed) % 2)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at)
    head += data + b"\0" * (len(data) % 2) + struct.pack(order + "H", len(tags))
    return head + entries + bytes(4) + long_values


def plain_tags(
    width: int, height: int, bits: int, samples: int, photometric: int
) -> dict[int, tuple[str, tuple[int, ...]]]:
    size = height * -(-width * samples * bits // 8)
    return {
        256: ("I", (width,)),
        257: ("I", (height,)),
        258: ("H", (bits,) * samples),
        259: ("H", (1,)),
        262: ("H", (photometric,)),
        273: ("I", (8,)),
        277: ("H", (samples,)),
        278: ("I", (height,)),
        279: ("I", (size,)),
    }


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_in_both_byte_orders(order: str) -> None:
    rgb = drawn(10, 12).tobytes()
    assert np.array_equal(decode(tiff(order, plain_tags(12, 10, 8, 3, 2), rgb)), drawn(10, 12))
    wide = np.random.default_rng(1).integers(0, 2**16, (10, 12, 3)).astype(np.uint16)
    data = wide.astype(order + "u2").tobytes()
    assert np.array_equal(decode(tiff(order, plain_tags(12, 10, 16, 3, 2), data)), wide >> 8)
    data = wide[..., 0].astype(order + "u2").tobytes()
    pixels = decode(tiff(order, plain_tags(12, 10, 16, 1, 1), data))
    assert np.array_equal(pixels, np.repeat(wide[..., :1] >> 8, 3, axis=2))


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_in_planes_strips_and_tiles(order: str) -> None:
    image = drawn(10, 12)
    planes = plain_tags(12, 10, 8, 3, 2) | {
        273: ("I", (8, 128, 248)),
        279: ("I", (120, 120, 120)),
        284: ("H", (2,)),
    }
    data = np.moveaxis(image, 2, 0).tobytes()
    assert np.array_equal(decode(tiff(order, planes, data)), image)
    strips = plain_tags(12, 10, 8, 3, 2) | {
        273: ("I", (8, 152, 296)),
        279: ("I", (144, 144, 72)),
        278: ("H", (4,)),
    }
    assert np.array_equal(decode(tiff(order, strips, image.tobytes())), image)
    tags = plain_tags(12, 10, 8, 3, 2)
    tiles = {tag: tags[tag] for tag in tags if tag not in (273, 278, 279)} | {
        322: ("H", (16,)),
        323: ("H", (16,)),
        324: ("I", (8,)),
        325: ("I", (768,)),
    }
    tile = np.zeros((16, 16, 3), np.uint8)
    tile[:10, :12] = image
    assert np.array_equal(decode(tiff(order, tiles, tile.tobytes())), image)


COMPRESSIONS = [None, "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_tiff_compressions(compression: str | None) -> None:
    for bands in (1, 3, 4):
        pixels = drawn(30, 41, bands)
        if bands == 4:
            pixels[..., 3] = 255
        data = encoded("TIFF", pixels, compression=compression)
        wide = pixels[..., :3] if bands > 1 else np.repeat(pixels[..., None], 3, axis=2)
        assert np.array_equal(decode(data), wide)
    for wide16 in (drawn(30, 41, 1).astype(np.uint16) * 200,):
        data = encoded("TIFF", wide16, compression=compression)
        assert np.array_equal(decode(data)[..., 1], wide16 >> 8)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_tiff_cut_anywhere_is_refused(
    compression: str | None, capfd: pytest.CaptureFixture[str], refusals: Refusals
) -> None:
    data = encoded("TIFF", drawn(20, 24), compression=compression)
    # the last bytes may be a resolution, which decides no pixel
    refused, same = refusals((data[:at] for at in range(1, len(data), 5)), decode(data))
    assert refused > 100
    assert same < 10
    assert capfd.readouterr() == ("", ""), "libtiff spoke to the user"


def test_tiff_with_strips_that_are_not_there_is_refused() -> None:
    image = drawn(10, 12)
    good = plain_tags(12, 10, 8, 3, 2)
    for change in (
        {257: ("I", (11,))},
        {278: ("I", (9,))},
        {279: ("I", (300,))},
        {279: ("I", (9999,))},
        {273: ("I", (2**31,))},
        {273: ("I", (8, 8))},
        {278: ("I", (0,))},
        {277: ("H", (0,))},
        {256: ("I", (0,))},
    ):
        with pytest.raises(UnusableInput):
            decode(tiff("<", good | change, image.tobytes()))
    for missing in (256, 257, 262, 273, 279):
        tags = {tag: value for tag, value in good.items() if tag != missing}
        with pytest.raises(UnusableInput):
            decode(tiff("<", tags, image.tobytes()))


def test_a_tiff_that_uses_its_bytes_many_times_is_refused() -> None:
    rows = 2**16
    tags = plain_tags(1, rows, 8, 1, 1) | {
        273: ("I", (8,) * rows),
        278: ("I", (1,)),
        279: ("I", (2**19,) * rows),
    }
    with pytest.raises(UnusableInput, match="its directory is broken"):
        decode(tiff("<", tags, bytes(2**19)))
    long_value = plain_tags(4, 4, 8, 1, 1) | {258: ("I", (8,) * (2**20 + 1))}
    with pytest.raises(UnusableInput, match="its directory is broken"):
        decode(tiff("<", long_value, bytes(16)))


def test_tiffs_without_an_agreed_meaning_are_refused() -> None:
    floats = encoded("TIFF", np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10))
    integers = encoded("TIFF", np.arange(100, dtype=np.int32).reshape(10, 10))
    inverted = tiff("<", plain_tags(4, 4, 16, 1, 0), bytes(32))
    twelve = tiff("<", plain_tags(4, 4, 12, 1, 1), bytes(32))
    signed = tiff("<", plain_tags(4, 4, 16, 1, 1) | {339: ("H", (2,))}, bytes(32))
    lab = tiff("<", plain_tags(4, 4, 8, 3, 8), bytes(48))
    for data in (floats, integers, inverted, twelve, signed, lab):
        with pytest.raises(UnusableInput, match=r"TIFF with photometric .* is not read"):
            decode(data)
    with pytest.raises(UnusableInput, match="TIFF compression 7 is not read"):
        decode(encoded("TIFF", compression="jpeg"))
    with pytest.raises(UnusableInput, match="BigTIFF is not read"):
        decode(b"II+\0" + bytes(60))


def test_a_tiff_of_several_pages_gives_the_first() -> None:
    data = encoded("TIFF", save_all=True, append_images=[Image.fromarray(drawn()[::-1].copy())])
    assert np.array_equal(decode(data), drawn())


def test_a_size_over_the_limit_is_refused_from_the_header() -> None:
    data = tiff("<", plain_tags(99999, 99999, 8, 3, 2) | {279: ("I", (1,))}, b"\0")
    with pytest.raises(UnusableInput, match=r"pixels, more than the 100,000,000 allowed; scale"):
        decode(data)
