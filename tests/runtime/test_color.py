"""From stored samples to upright sRGB: modes, alpha, ink, colour profiles, orientation."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from lesionlite_runtime import color
from lesionlite_runtime.errors import MissingHere, UnusableInput
from lesionlite_runtime.imagefiles import open_picture
from lesionlite_runtime.imagefiles.picture import Picture
from lesionlite_runtime.pixels import decode, resize

DOCS = Path(__file__).parents[2] / "docs" / "pixels.md"


def drawn(height: int = 40, width: int = 56, bands: int = 3) -> NDArray[np.uint8]:
    """Gradients that differ in every band and in every direction."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 4, y * 6, (x * y) % 256, 255 - x], axis=-1).astype(np.uint8)
    return image[..., :bands] if bands > 1 else image[..., 0]


def saved(image: Image.Image, format_: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


# Modes and alpha ----------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_plain_modes_become_rgb(format_: str, mode: str) -> None:
    image = Image.fromarray(drawn())
    image = image.quantize(30) if mode == "P" else image.convert(mode)
    assert np.array_equal(decode(saved(image, format_)), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_flattened_over_white_to_the_nearest_value(format_: str, mode: str) -> None:
    value, alpha = (grid.astype(np.uint8) for grid in np.mgrid[:256, :256])
    bands = [value] * (len(mode) - 1)
    options = {"lossless": True, "exact": True} if format_ == "WEBP" else {}
    data = saved(Image.fromarray(np.stack([*bands, alpha], axis=-1)), format_, **options)
    expected = np.rint((value.astype(int) * alpha + 255 * (255 - alpha.astype(int))) / 255)
    assert np.array_equal(decode(data), np.repeat(expected[..., None], 3, axis=2))


def test_opaque_alpha_changes_nothing() -> None:
    image = Image.fromarray(drawn())
    with_alpha = image.copy()
    with_alpha.putalpha(255)
    assert np.array_equal(decode(saved(with_alpha, "PNG")), drawn())


@pytest.mark.parametrize("transparency", [2, bytes([255, 255, 0]), bytes([255, 0, 128, 7])])
def test_transparent_palette_entries_are_flattened_over_white(transparency: int | bytes) -> None:
    image = Image.new("P", (4, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    image.putdata([0, 1, 2, 3])
    data = saved(image, "PNG", transparency=transparency)
    table = bytes([255, 255, 0]) if transparency == 2 else bytes(transparency)
    alpha = np.frombuffer(table.ljust(4, b"\xff"), np.uint8).astype(int)[:, None]
    solid = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90], [100, 110, 120]])
    expected = np.rint((solid * alpha + 255 * (255 - alpha)) / 255)
    assert np.array_equal(decode(data)[0], expected)


def test_ink_without_a_profile_is_multiplied_down() -> None:
    ink = np.random.default_rng(0).integers(0, 256, (300, 50, 4), dtype=np.uint8)
    left = 255 - ink.astype(int)
    data = saved(Image.fromarray(ink, "CMYK"), "TIFF")
    assert np.array_equal(decode(data), left[..., :3] * left[..., 3:] // 255)


@pytest.mark.parametrize("mode", ["F", "I", "HSV", "LAB", "YCbCr"])
def test_other_modes_are_refused(mode: str) -> None:
    picture = Picture(Image.new(mode, (3, 3)))
    if mode == "I":
        assert color.to_rgb(picture).tolist() == np.zeros((3, 3, 3)).tolist()  # 16-bit grey PNG
    else:
        with pytest.raises(UnusableInput, match=f"an image of the kind {mode} is not read"):
            color.to_rgb(picture)


# Orientation --------------------------------------------------------------------------------------


def oriented(orientation: int, *, order: str = "<", kind: int = 3) -> bytes:
    """An EXIF block that states one orientation."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(order + {1: "B3x", 3: "H2x", 4: "I"}[kind], orientation)
    entry = struct.pack(order + "IHHHI", 8, 1, 274, kind, 1) + value
    return b"Exif\0\0" + start + entry + bytes(4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_exif_orientation_is_undone(format_: str, orientation: int) -> None:
    image = Image.fromarray(drawn())
    options: dict[str, Any] = {"lossless": True} if format_ == "WEBP" else {}
    stored = decode(saved(image, format_, **options))
    exif = Image.Exif()
    exif[274] = orientation
    data = saved(image, format_, exif=exif, **options)
    reference = Image.fromarray(stored)
    reference.getexif()[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(reference))
    pixels = decode(data)
    assert np.array_equal(pixels, expected)
    assert pixels.shape == ((56, 40, 3) if orientation >= 5 else (40, 56, 3))
    assert pixels.flags.c_contiguous
    assert not pixels.flags.writeable


@pytest.mark.parametrize(
    ("exif", "turned"),
    [
        (oriented(6), True),
        (oriented(6, order=">"), True),
        (oriented(6, kind=4), True),
        (oriented(0), False),
        (oriented(9), False),
        (b"Exif\0\0", False),
        (b"Exif\0\0II*\0", False),
        (oriented(6)[:-9], False),
        (oriented(6).replace(b"II*\0", b"IIII"), False),
        (b"Exif\0\0MM\0*\xff\xff\xff\xff", False),
    ],
)
def test_an_orientation_that_is_broken_is_none(exif: bytes, turned: bool) -> None:
    data = saved(Image.fromarray(drawn()), "JPEG", exif=exif)
    assert decode(data).shape == ((56, 40, 3) if turned else (40, 56, 3))


# Colour profiles ----------------------------------------------------------------------------------

SRGB_TO_PCS = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)
P3_TO_PCS = np.array(
    [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)
WHITE = SRGB_TO_PCS.sum(axis=1)


def srgb_curve(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def srgb_inverse(light: NDArray[np.float64]) -> NDArray[np.float64]:
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def profile(space: bytes, tags: dict[bytes, bytes], pcs: bytes = b"XYZ ") -> bytes:
    """An ICC profile of version 2.2 for a monitor."""
    at = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    white = struct.pack(">3i", *np.rint(WHITE * 65536).astype(int))
    head = struct.pack(">I4xI4s4s4s12x4s", at + len(body), 0x02200000, b"mntr", space, pcs, b"acsp")
    return head.ljust(68, b"\0") + white.ljust(60, b"\0") + table + body


def xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *np.rint(values * 65536).astype(int))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def curve(values: NDArray[np.float64]) -> bytes:
    points = np.rint(values * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", len(points)) + points.tobytes()


def rgb_profile(matrix: NDArray[np.float64], trc: bytes) -> bytes:
    columns = {name: xyz(matrix[:, i]) for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    tags = columns | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), trc) | {b"wtpt": xyz(WHITE)}
    return profile(b"RGB ", tags)


def ink_profile() -> bytes:
    """A CMYK profile with one byte table: paper is white, black ink halves lightness."""
    grid = np.stack(np.meshgrid(*[[0, 1]] * 4, indexing="ij"), axis=-1).reshape(16, 4)
    lab = np.full((16, 3), 128)
    lab[:, 0] = 255 - 40 * grid[:, :3].sum(axis=1) - 130 * grid[:, 3]
    identity = bytes(range(256))
    head = (
        b"mft1\0\0\0\0"
        + bytes([4, 3, 2, 0])
        + struct.pack(">9i", *np.eye(3, dtype=int).ravel() * 65536)
    )
    table = head + identity * 4 + lab.clip(0, 255).astype(np.uint8).tobytes() + identity * 3
    return profile(b"CMYK", {b"A2B0": table, b"wtpt": xyz(WHITE)}, b"Lab ")


DISPLAY_P3 = rgb_profile(P3_TO_PCS, curve(srgb_curve(np.arange(1024) / 1023)))
GAMMA = rgb_profile(SRGB_TO_PCS, gamma(1.8))
SRGB = rgb_profile(SRGB_TO_PCS, curve(srgb_curve(np.arange(1024) / 1023)))
PILLOWS_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(
    ("icc", "matrix", "decode_curve"),
    [
        (DISPLAY_P3, P3_TO_PCS, srgb_curve),
        (GAMMA, SRGB_TO_PCS, lambda value: value**1.8),
    ],
)
@pytest.mark.parametrize("format_", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_profile_is_converted_to_srgb(
    format_: str, icc: bytes, matrix: NDArray[Any], decode_curve: Callable[..., NDArray[Any]]
) -> None:
    options = {"lossless": True} if format_ == "WEBP" else {}
    image = Image.fromarray(drawn())
    stored = decode(saved(image, format_, **options))
    converted = decode(saved(image, format_, icc_profile=icc, **options))
    light = decode_curve(stored / 255.0) @ matrix.T @ np.linalg.inv(SRGB_TO_PCS).T
    expected = np.rint(srgb_inverse(light) * 255)
    assert np.abs(expected - stored).max() > 15
    assert np.abs(converted - expected).max() <= 2
    assert np.abs(converted - expected).mean() < 0.1


@pytest.mark.parametrize("icc", [SRGB, PILLOWS_SRGB])
@pytest.mark.parametrize("format_", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_an_srgb_profile_leaves_every_bit(format_: str, icc: bytes) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    options = {"lossless": True} if format_ == "WEBP" else {}
    data = saved(Image.fromarray(noise), format_, icc_profile=icc, **options)
    assert icc in data or format_ == "PNG"
    assert np.array_equal(decode(data), decode(saved(Image.fromarray(noise), format_, **options)))


def test_a_profile_that_is_only_near_srgb_is_converted() -> None:
    near = rgb_profile(SRGB_TO_PCS, gamma(2.2))
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    moved = np.abs(decode(saved(Image.fromarray(ramp), "PNG", icc_profile=near)).astype(int) - ramp)
    assert 3 <= moved.max() <= 10


def test_a_grey_profile_is_converted() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    data = saved(
        Image.fromarray(ramp),
        "PNG",
        icc_profile=profile(b"GRAY", {b"kTRC": gamma(1.0), b"wtpt": xyz(WHITE)}),
    )
    expected = np.rint(srgb_inverse(ramp / 255.0) * 255)
    assert np.abs(decode(data) - expected[..., None]).max() == 0
    same = profile(
        b"GRAY", {b"kTRC": curve(srgb_curve(np.arange(1024) / 1023)), b"wtpt": xyz(WHITE)}
    )
    assert np.array_equal(
        decode(saved(Image.fromarray(ramp), "PNG", icc_profile=same))[..., 0], ramp
    )


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_an_ink_profile_is_converted(format_: str) -> None:
    ink = np.zeros((16, 32, 4), np.uint8)
    ink[:, 16:, 3] = 255
    options = {"quality": 100} if format_ == "JPEG" else {}
    data = saved(Image.fromarray(ink, "CMYK"), format_, icc_profile=ink_profile(), **options)
    pixels = decode(data)
    assert pixels[:, :15].min() >= 253
    # lightness 125 of 255 is L* 49.0, and that is 117 in sRGB; without the profile it would be 0
    assert np.abs(pixels[:, 17:].astype(int) - 117).max() <= 2


def test_alpha_is_applied_after_the_profile() -> None:
    solid = np.array([[[200, 30, 90, 255], [200, 30, 90, 0], [200, 30, 90, 128]]], np.uint8)
    pixels = decode(saved(Image.fromarray(solid), "PNG", icc_profile=DISPLAY_P3)).astype(int)
    assert pixels[0, 0].tolist() != [200, 30, 90]
    assert pixels[0, 1].tolist() == [255] * 3
    assert np.abs(pixels[0, 2] * 255 - (pixels[0, 0] * 128 + 255 * 127)).max() <= 128


BROKEN = {
    "empty": b"",
    "noise": np.random.default_rng(0).bytes(500),
    "cut short": DISPLAY_P3[:300],
    "no tags": DISPLAY_P3[:128] + bytes(400),
    "for ink": ink_profile(),
    "for grey": profile(b"GRAY", {b"kTRC": gamma(1.0), b"wtpt": xyz(WHITE)}),
    "device link": DISPLAY_P3[:12] + b"link" + DISPLAY_P3[16:],
    "abstract": DISPLAY_P3[:12] + b"abst" + DISPLAY_P3[16:],
    "for Lab": DISPLAY_P3[:16] + b"Lab " + DISPLAY_P3[20:],
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("format_", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_profile_that_does_not_fit_counts_as_absent(format_: str, name: str) -> None:
    image = Image.fromarray(drawn())
    data = saved(image, format_, icc_profile=BROKEN[name])
    assert np.array_equal(decode(data), decode(saved(image, format_)))


def test_a_profile_in_parts_is_joined_and_one_with_a_lost_part_counts_as_absent() -> None:
    image = Image.fromarray(drawn())
    long = rgb_profile(SRGB_TO_PCS, curve((np.arange(12000) / 11999) ** 1.8))
    data = saved(image, "JPEG", icc_profile=long)
    assert data.count(b"ICC_PROFILE\0") == 2
    short = decode(saved(image, "JPEG", icc_profile=GAMMA)).astype(int)
    assert np.abs(decode(data) - short).max() <= 2
    lost = data.replace(b"ICC_PROFILE\0\x02", b"ICC_PROFILX\0\x02")
    assert np.array_equal(decode(lost), decode(saved(image, "JPEG")))


def test_a_png_profile_that_inflates_without_end_counts_as_absent() -> None:
    image = Image.fromarray(drawn())
    data = saved(image, "PNG", icc_profile=DISPLAY_P3 + bytes(2**23))
    assert np.array_equal(decode(data), drawn())


def test_without_littlecms_an_image_with_a_profile_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = Image.fromarray(drawn())
    monkeypatch.setattr(color.features, "check", lambda name: name != "littlecms2")
    assert decode(saved(image, "JPEG")).shape == (40, 56, 3)
    with pytest.raises(MissingHere, match="without LittleCMS; install Pillow's wheel"):
        decode(saved(image, "JPEG", icc_profile=SRGB))


@pytest.mark.data
def test_what_the_profiles_of_four_photos_change() -> None:
    """The figures of docs/pixels.md: |converted - as stored| over all samples."""
    if "LESIONLITE_DATA" not in os.environ:
        pytest.skip("LESIONLITE_DATA is not set")
    folder = Path(os.environ["LESIONLITE_DATA"]) / "fullres"
    text = DOCS.read_text("utf-8")
    with_profile = 0
    for photo in sorted(folder.rglob("*.jpg")):
        picture = open_picture(photo.read_bytes(), 10**8)
        if picture.icc is None:
            continue
        with_profile += 1
        converted, stored = decode(photo), color.to_rgb(replace(picture, icc=None))
        small = resize(converted, 224, 224), resize(stored, 224, 224)
        figures = []
        for a, b in ((converted, stored), small):
            change = np.abs(a.astype(np.int16) - b)
            figures += [f"{change.mean():.2f}", f"{change.max()}"]
        assert f"| {photo.stem} | {' | '.join(figures)} |" in text
    assert with_profile == 4
