"""The door: every kind of source, one clean error for each fault, and no side effect."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFile

from lesionlite_runtime import color, pixels
from lesionlite_runtime.errors import LesionliteError, UnusableInput, UsageError
from lesionlite_runtime.imagefiles import open_picture
from lesionlite_runtime.pixels import decode, image_tensor, pixels_sha256, resize

DOCS = Path(__file__).parents[2] / "docs" / "pixels.md"


def drawn(height: int = 40, width: int = 56, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng([seed, height, width])
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(image: Image.Image, format_: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a photo \u00e4.jpg"
    path.write_bytes(saved(Image.fromarray(drawn()), "JPEG"))
    return path


# Sources ------------------------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same_pixels(photo: Path) -> None:
    data = photo.read_bytes()
    expected = np.asarray(Image.open(photo))
    with photo.open("rb") as file:
        for source in (photo, str(photo), data, bytearray(data), memoryview(data), file):
            result = decode(source)
            assert np.array_equal(result, expected)
            assert result.dtype == np.uint8
            assert result.flags.c_contiguous
            assert not result.flags.writeable


def test_a_file_object_is_read_from_where_it_stands(photo: Path) -> None:
    stream = io.BytesIO(b"header" + photo.read_bytes())
    stream.seek(6)
    assert np.array_equal(decode(stream), decode(photo))
    assert not stream.closed


def test_pixels_come_back_as_they_are() -> None:
    image = drawn()
    assert decode(image) is image
    assert np.array_equal(decode(image[:, ::-1]), image[:, ::-1])
    assert decode(image[:, ::-1]).flags.c_contiguous


@pytest.mark.parametrize(
    "source",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        None,
        7,
        [[[0, 0, 0]]],
        Image.new("RGB", (4, 4)),
        io.StringIO("text"),
    ],
)
def test_other_sources_are_the_callers_fault(source: Any) -> None:
    with pytest.raises(UsageError):
        decode(source)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "9", True, None])
def test_a_limit_that_is_no_count_is_the_callers_fault(limit: Any) -> None:
    with pytest.raises(UsageError, match="max_pixels"):
        decode(drawn(), max_pixels=limit)


def test_the_suffixes_are_what_a_folder_walk_can_compare() -> None:
    assert all(re.fullmatch(r"\.[a-z]{3,4}", suffix) for suffix in pixels.IMAGE_SUFFIXES)
    assert {".jpg", ".jpeg", ".png", ".heic", ".tif"} <= set(pixels.IMAGE_SUFFIXES)
    assert not {".gif", ".csv", ".avif"} & set(pixels.IMAGE_SUFFIXES)


# Faults -------------------------------------------------------------------------------------------

WHOLE = saved(Image.fromarray(drawn()), "JPEG")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"dear diary", "this is no JPEG, PNG, WebP, BMP, TIFF or HEIC image"),
        (WHOLE[:500], "the image is damaged or cut short"),
        (WHOLE[:-2], "the image is damaged or cut short"),
        (b"BM" + bytes(90), "the image is damaged or of a kind that is not read"),
        (saved(Image.new("L", (10001, 10000)), "PNG"), "10001 x 10000 pixels, more than the 100,"),
    ],
)
def test_a_bad_file_is_one_sentence_with_its_name(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(content)
    with path.open("rb") as file:
        for source in (path, str(path), file):
            with pytest.raises(UnusableInput, match=re.escape(said)) as caught:
                decode(source)
            assert caught.value.file == str(path)
            assert str(caught.value).startswith(f"{path}: ")
            assert caught.value.remedy
            assert "\n" not in str(caught.value)
    with pytest.raises(UnusableInput, match=re.escape(said)) as caught:
        decode(content)
    assert caught.value.file is None


def test_a_file_that_cannot_be_read_is_one_sentence_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "file").write_bytes(b"x")
    cases = {
        tmp_path / "none.jpg": "there is no such file",
        tmp_path: "this is a folder",
        tmp_path / "pipe.jpg": "this is no regular file",
        tmp_path / "file" / "below.jpg": "it cannot be read",
        tmp_path / ("x" * 300): "it cannot be read",
        "null\0.jpg": "it cannot be read",
        "": "this is a folder",
    }
    for path, said in cases.items():
        with pytest.raises(UnusableInput, match=said) as caught:
            decode(path)
        assert caught.value.file == str(path)
        assert caught.value.remedy

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UnusableInput, match="reading it is not permitted"):
        decode(tmp_path / "file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_without_read_permission_is_refused(photo: Path) -> None:
    photo.chmod(0)
    with pytest.raises(UnusableInput, match="reading it is not permitted"):
        decode(photo)


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Path, "read_bytes")
    path = tmp_path / "huge.tif"
    with path.open("wb") as file:
        file.truncate(pixels.MAX_FILE_BYTES + 1)
    with pytest.raises(UnusableInput, match="more than 512 MiB"):
        decode(path)


def test_a_source_that_fails_while_being_read_is_refused() -> None:
    class Torn(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:  # noqa: ARG002
            raise OSError(5, "Input/output error")

    with pytest.raises(UnusableInput, match="it cannot be read"):
        decode(Torn())


@pytest.mark.parametrize(
    "fault",
    [
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        EOFError,
        RuntimeError,
        SystemError,
        MemoryError,
        RecursionError,
        Image.DecompressionBombError,
    ],
)
def test_whatever_a_decoder_raises_becomes_the_one_error(
    fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise fault("two\nlines")

    monkeypatch.setattr(pixels, "open_picture", fail)
    with pytest.raises(UnusableInput) as caught:
        decode(WHOLE)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, fault)


@pytest.mark.parametrize("fault", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_passes(fault: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise fault

    monkeypatch.setattr(pixels, "open_picture", fail)
    with pytest.raises(fault):
        decode(WHOLE)


# Side effects -------------------------------------------------------------------------------------


def test_pillows_own_limit_takes_no_part_and_keeps_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = Image.fromarray(drawn())
    files = [saved(image, format_) for format_ in ("JPEG", "PNG", "TIFF", "BMP")]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for data in files:
            assert decode(data).shape == (40, 56, 3)
        small = saved(image, "WEBP")
        try:  # Pillow's WebP plugin asks for it itself, from version 13 on
            assert decode(small).shape == (40, 56, 3)
        except UnusableInput as error:
            said = str(error)
            assert said.startswith("the image has more pixels than PIL.Image.MAX_IMAGE_PIXELS")
    assert Image.MAX_IMAGE_PIXELS == 10
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_a_process_that_loads_truncated_images_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(UsageError, match="LOAD_TRUNCATED_IMAGES is set"):
        decode(WHOLE)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def nasty() -> list[bytes]:
    """Good pixels with metadata that Pillow warns about."""
    image = Image.fromarray(drawn())
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + b"\x0f\x01\x02\0\xff\xff\0\0\xff\xff\xff\x7f" * 2
    mpo = saved(image, "MPO", save_all=True, append_images=[image])
    palette = image.quantize(20)
    animated = saved(image, "PNG", save_all=True, append_images=[Image.new("RGB", image.size)])
    control = animated.index(b"acTL")
    broken = animated[: control + 4] + bytes(8) + b"\xaa\xaa\x1e\x3b" + animated[control + 16 :]
    return [
        saved(image, "JPEG", exif=exif, comment=b"x" * 100),
        mpo.replace(b"MPF\0", b"MPF\0\0"),
        mpo[: len(mpo) // 2 + 100],
        saved(palette, "PNG", transparency=bytes(range(20))),
        broken,
        saved(image, "TIFF", tiffinfo={270: "x" * 40, 700: b"<xmp", 65000: (1, 2)}),
    ]


def test_nothing_is_warned_of_or_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        done = []
        for data in nasty():
            try:
                done.append(decode(data).shape)
            except UnusableInput as error:
                done.append(error.exit_code)
    assert seen == []
    assert capfd.readouterr() == ("", "")
    assert done.count((40, 56, 3)) >= 4


def test_threads_do_not_disturb_each_other() -> None:
    files = [data for data in nasty() if data is not None]
    files += [saved(Image.fromarray(drawn(90, 70, seed)), "JPEG") for seed in range(6)]

    def result(data: bytes) -> str:
        try:
            return pixels_sha256(decode(data))
        except LesionliteError as error:
            return str(error)

    one_by_one = [result(data) for data in files]
    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(result, files * 20)) == one_by_one * 20
    assert warnings.filters == filters


# Tensors and digests ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", pixels.RESIZE_METHODS)
def test_a_tensor_is_decoded_then_resized(photo: Path, method: str) -> None:
    tensor = image_tensor(photo, 20, 30, method=method)
    assert np.array_equal(tensor, resize(decode(photo), 20, 30, method))
    assert np.array_equal(tensor, image_tensor(decode(photo), 20, 30, method, fit="stretch"))


def test_a_tensor_of_unknown_kind_is_refused_before_the_file_is_read() -> None:
    with pytest.raises(UsageError, match="unknown fit 'strech'; did you mean stretch"):
        image_tensor("no such file", 4, 4, fit="strech")
    with pytest.raises(UsageError, match="unknown resize method 'bilinear'; did you mean"):
        image_tensor("no such file", 4, 4, method="bilinear")


def test_the_digest_is_that_of_the_bytes_row_by_row() -> None:
    image = drawn()
    assert pixels_sha256(image) == hashlib.sha256(image.tobytes()).hexdigest()
    assert pixels_sha256(image[::-1]) == hashlib.sha256(image[::-1].tobytes()).hexdigest()
    assert pixels_sha256(image[::-1]) != pixels_sha256(image)
    for wrong in (image[..., 0], image.astype(np.float32), None):
        with pytest.raises(UsageError):
            pixels_sha256(wrong)


def test_the_photo_in_the_docs_decodes_as_stated() -> None:
    text = DOCS.read_text("utf-8")
    block = re.search(r"```base64\n(.*?)```", text, re.DOTALL)
    assert block is not None
    result = decode(base64.b64decode(block[1]))
    assert f"`{pixels_sha256(result)}`" in text
    assert f"shape `{list(result.shape)}`" in text
    assert f"first pixel `{result[0, 0].tolist()}`" in text
    assert f"last `{result[-1, -1].tolist()}`" in text


# Any size, any mode, any format -------------------------------------------------------------------

MODES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "1": lambda image: image.convert("1"),
    "L": lambda image: image.convert("L"),
    "LA": lambda image: image.convert("LA"),
    "P": lambda image: image.quantize(17),
    "RGB": lambda image: image,
    "RGBA": lambda image: image.convert("RGBA"),
    "CMYK": lambda image: image.convert("CMYK"),
    "I;16": lambda image: Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257),
    "F": lambda image: image.convert("F"),
}
FORMATS = {
    "JPEG": {"L", "RGB", "CMYK"},
    "PNG": {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"},
    "BMP": {"1", "L", "P", "RGB", "RGBA"},
    "WEBP": {"RGB", "RGBA"},
    "TIFF": set(MODES),
}
PAIRS = [(format_, mode) for format_, modes in FORMATS.items() for mode in sorted(modes)]
LENGTHS = st.one_of(st.integers(1, 64), st.sampled_from([1, 2, 255, 256, 257]))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PAIRS), LENGTHS, LENGTHS, st.integers(0, 9))
def test_any_size_mode_and_format_gives_pixels_or_one_error(
    pair: tuple[str, str], height: int, width: int, seed: int
) -> None:
    check(*pair, height, width, seed)


@pytest.mark.parametrize(
    ("size", "fits"), [((1, 1), False), ((31, 400), False), ((400, 31), False), ((32, 32), True)]
)
def test_a_photo_too_small_to_decide_on_makes_no_tensor(
    tmp_path: Path, size: tuple[int, int], fits: bool
) -> None:
    path = tmp_path / "small.png"
    Image.fromarray(drawn(*size, 0)).save(path)
    if fits:
        assert image_tensor(path, 224, 224).shape == (224, 224, 3)
        return
    words = rf"small.png: the image has {size[1]} x {size[0]} pixels, too few to decide on"
    with pytest.raises(UnusableInput, match=words):
        image_tensor(path, 224, 224)


@pytest.mark.parametrize(("format_", "mode"), PAIRS)
@pytest.mark.parametrize("size", [(5000, 3), (3, 5000), (1, 1)])
def test_long_and_tiny_images(format_: str, mode: str, size: tuple[int, int]) -> None:
    check(format_, mode, *size, 0)


def check(format_: str, mode: str, height: int, width: int, seed: int) -> None:
    image = MODES[mode](Image.fromarray(drawn(height, width, seed)))
    options = {"lossless": True} if format_ == "WEBP" else {}
    data = saved(image, format_, **options)
    if mode == "F":
        with pytest.raises(UnusableInput):
            decode(data)
        return
    result = decode(data)
    assert result.shape == (height, width, 3)
    assert result.dtype == np.uint8
    if mode == "I;16":
        expected = np.repeat((np.asarray(image) >> 8)[..., None], 3, axis=2)
    elif mode == "CMYK":
        left = 255 - np.asarray(image).astype(int)
        expected = left[..., :3] * left[..., 3:] // 255
    else:
        expected = np.asarray(image.convert("RGB"))
    if format_ != "JPEG":
        assert np.array_equal(result, expected)
    elif mode != "CMYK":
        assert np.array_equal(result, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert resize(result, 7, 5).shape == (7, 5, 3)


@pytest.mark.data
@pytest.mark.tensorflow
def test_photos_without_a_profile_equal_tensorflow_bit_for_bit() -> None:
    if "LESIONLITE_DATA" not in os.environ:
        pytest.skip("LESIONLITE_DATA is not set")
    import tensorflow as tf

    photos = sorted((Path(os.environ["LESIONLITE_DATA"]) / "fullres").rglob("*.jpg"))
    compared = 0
    for path in photos:
        data = path.read_bytes()
        picture = open_picture(data, pixels.MAX_PIXELS)
        theirs = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()
        ours = color.to_rgb(picture)
        if picture.icc is None:
            compared += 1
            assert np.array_equal(ours, theirs), path.name
        else:
            assert not np.array_equal(ours, theirs), path.name
    assert compared >= 40
