"""JPEG: TensorFlow's and Pillow's pixels, and never a part of a photo."""

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
Outcome = Callable[..., NDArray[np.uint8] | None]


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


JPEGS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "optimised": {"optimize": True, "quality": 40},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 3},
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "rgb": {"keep_rgb": True},
}


def sampled(sampling: int) -> bytes:
    """A 4:2:2 JPEG with another luma sampling written over it: valid, though scrambled."""
    data = bytearray(encoded("JPEG", drawn(64, 64), subsampling=1))
    frame = data.index(b"\xff\xc0")
    assert data[frame + 11] == 0x21
    data[frame + 11] = sampling
    return bytes(data)


@pytest.mark.parametrize("name", JPEGS)
def test_jpeg_equals_pillow(name: str) -> None:
    data = encoded("JPEG", **JPEGS[name])
    assert np.array_equal(decode(data), opened(data))


@pytest.mark.tensorflow
def test_jpeg_equals_tensorflow_bit_for_bit() -> None:
    import tensorflow as tf

    files = {
        f"{name} {height}x{width}": encoded("JPEG", drawn(height, width), **options)
        for name, options in JPEGS.items()
        for height, width in ((48, 64), (1, 1), (7, 5), (33, 129), (1, 200))
    }
    files["grey"] = encoded("JPEG", drawn(33, 29, 1))
    files["4:4:0"] = sampled(0x12)
    files["worst"] = encoded("JPEG", quality=1)
    files["best"] = encoded("JPEG", quality=100)
    ink = io.BytesIO()
    Image.fromarray(drawn(33, 29, 4), "CMYK").save(ink, "JPEG", quality=95)
    files["cmyk"] = ink.getvalue()
    files["ycck"] = ink.getvalue().replace(b"Adobe\0\x64\0\0\0\0\0", b"Adobe\0\x64\0\0\0\0\2")
    files["cmyk without Adobe's marker"] = ink.getvalue().replace(b"\xff\xee", b"\xff\xec")
    assert len({files["cmyk"], files["ycck"], files["cmyk without Adobe's marker"]}) == 3
    for name, data in files.items():
        theirs = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()
        ours = decode(data)
        assert ours.shape == theirs.shape, name
        assert np.abs(ours.astype(int) - theirs).max() == 0, name


def test_inks_are_stored_inverted_with_adobes_marker_only() -> None:
    stream = io.BytesIO()
    Image.fromarray(drawn(bands=4), "CMYK").save(stream, "JPEG")
    marked = stream.getvalue()
    left = 255 - np.asarray(Image.open(io.BytesIO(marked))).astype(int)
    assert np.array_equal(decode(marked), left[..., :3] * left[..., 3:] // 255)
    plain = marked.replace(b"\xff\xee", b"\xff\xec")
    left = 255 - left
    assert np.array_equal(decode(plain), left[..., :3] * left[..., 3:] // 255)


@pytest.mark.parametrize("name", JPEGS)
def test_jpeg_cut_anywhere_is_refused(name: str, refusals: Refusals) -> None:
    data = encoded("JPEG", drawn(32, 40), **JPEGS[name])
    whole = decode(data)
    assert refusals((data[:at] for at in range(1, len(data), 3)), whole)[1] == 0
    assert refusals([data[:-1], data[:-2], data + b"trailer", data + data], whole) == (2, 2)


@pytest.mark.parametrize("name", JPEGS)
def test_jpeg_with_zeros_instead_of_its_end_is_refused(name: str, refusals: Refusals) -> None:
    data = encoded("JPEG", drawn(32, 40), **JPEGS[name])
    variants = (data[:at] + bytes(len(data) - at) for at in range(20, len(data) - 2, 5))
    assert refusals(variants, decode(data))[1] == 0


@pytest.mark.parametrize("name", [name for name in JPEGS if name != "progressive"])
def test_jpeg_cut_with_an_end_marker_is_refused(
    name: str, refusals: Refusals, outcome: Outcome
) -> None:
    # Pillow and TensorFlow both show the rest as grey
    data = encoded("JPEG", drawn(32, 40), **JPEGS[name])
    whole, start = decode(data), data.index(b"\xff\xda") + 14
    cuts = [data[:at] + b"\xff\xd9" for at in range(start, len(data) - 2)]
    assert refusals(cuts[:-80], whole) == (len(cuts) - 80, 0)
    assert len(cuts) > 200
    # of the last bytes at most two blocks are made up
    for pixels in map(outcome, cuts[-80:]):
        assert pixels is None or (pixels != whole).any(axis=2).sum() <= 2 * 16 * 16


def test_jpeg_with_a_marker_in_its_data_is_refused(refusals: Refusals) -> None:
    data = encoded("JPEG", drawn(32, 40))
    middle = (data.index(b"\xff\xda") + len(data)) // 2
    variants = [data[:middle] + mark + data[middle:] for mark in (b"\xff\xd0", b"\xff\xd9")]
    assert refusals(variants, decode(data)) == (2, 0)


def test_progressive_jpeg_without_all_its_scans_is_refused(refusals: Refusals) -> None:
    data = encoded("JPEG", drawn(32, 40), progressive=True)
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    variants = [data[:at] + b"\xff\xd9" for at in scans]
    opened(variants[-1])  # Pillow takes it
    assert refusals(variants, decode(data)) == (len(variants), 0)


def test_jpeg_junk_between_segments_is_passed_over() -> None:
    data = encoded("JPEG")
    quantization = data.index(b"\xff\xdb")
    for junk in (b"\0\0\0", b"\xff\xff", b"abc\xff\0"):
        padded = data[:quantization] + junk + data[quantization:]
        assert np.array_equal(decode(padded), decode(data))


def test_long_runs_of_fill_bytes_take_no_time() -> None:
    data = encoded("JPEG")
    fill = b"\xff" * 2**22
    quantization = data.index(b"\xff\xdb")
    assert np.array_equal(decode(data[:quantization] + fill + data[quantization:]), decode(data))
    assert np.array_equal(decode(data[:-2] + fill + data[-2:]), decode(data))


def test_mpo_gives_its_first_image() -> None:
    stream = io.BytesIO()
    first, second = Image.fromarray(drawn()), Image.fromarray(drawn()[::-1].copy())
    first.save(stream, "MPO", save_all=True, append_images=[second], quality=90)
    assert Image.open(io.BytesIO(stream.getvalue())).format == "MPO"
    assert np.array_equal(decode(stream.getvalue()), decode(encoded("JPEG", quality=90)))


def test_rare_jpegs_are_refused() -> None:
    for mark in (b"\xff\xc3", b"\xff\xc9"):
        with pytest.raises(UnusableInput, match="lossless or arithmetic JPEG is not read"):
            decode(encoded("JPEG").replace(b"\xff\xc0", mark))
    with pytest.raises(UnusableInput, match="says 64 x 0 pixels"):
        decode(encoded("JPEG").replace(struct.pack(">HH", 48, 64), struct.pack(">HH", 0, 64)))


def test_a_size_over_the_limit_is_refused_from_the_header() -> None:
    data = encoded("JPEG").replace(struct.pack(">HH", 48, 64), b"\xff\xff\xff\xff")
    with pytest.raises(UnusableInput, match=r"pixels, more than the 100,000,000 allowed; scale"):
        decode(data)
