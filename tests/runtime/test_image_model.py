"""Image classifiers behind a contract: what the pixels become, and what the outputs stand for."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lesionlite_runtime.contract import image_contract
from lesionlite_runtime.contract_fields import ImageInput, Quantization
from lesionlite_runtime.door import check_model
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import TensorInfo
from lesionlite_runtime.image_model import ImageModel, as_input, input_table, real_values
from lesionlite_runtime.interpreter import installed_backends

RED_ALONE = [[1 / 256, 0, 0]]
COLOURS = [[1 / 256 if i == j else 0 for j in range(3)] for i in range(3)]
Make = Callable[..., ImageModel]


@pytest.fixture
def model(tiny_image_model: Any) -> Make:
    """Makes the image model in a tiny file; see `tiny_image_model`."""

    def make(*arguments: Any, backend: str | None = None, **options: Any) -> ImageModel:
        opened = check_model(tiny_image_model(*arguments, **options).file(), "tiny.tflite")
        return ImageModel(opened, image_contract(opened.contract), backend, 1)

    return make


def pixels_of(color: Sequence[int]) -> np.ndarray[Any, Any]:
    """An image of one colour as the tiny models take it."""
    return np.full((1, 8, 6, 3), color, np.uint8)


def image_input(dtype: str, ends: tuple[float, float] | None, color: str = "RGB") -> ImageInput:
    """The contract's input of a tiny model."""
    shape = (1, 8, 6, 3)
    return ImageInput("image", shape, dtype, color, "exif", "pillow-bilinear-v1", "stretch", ends)


def tensor_info(dtype: str, levels: tuple[float, int] | None) -> TensorInfo:
    """The file's input tensor, with the (scale, zero point) ``levels``."""
    scales, zeros = ((), ()) if levels is None else ((levels[0],), (levels[1],))
    return TensorInfo("image", (1, 8, 6, 3), dtype, scales, zeros, 0, 0)


def test_pixels_without_a_range_stay_as_they_are() -> None:
    assert input_table(image_input("uint8", None), tensor_info("uint8", None)) is None
    assert input_table(image_input("uint8", None), tensor_info("uint8", (1 / 255, 0))) is None


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((0, 1), {0: 0.0, 51: 0.2, 128: 128 / 255, 254: 254 / 255, 255: 1.0}),
        ((-1, 1), {0: -1.0, 51: -0.6, 102: -0.2, 153: 0.2, 255: 1.0}),
        ((0, 255), {0: 0.0, 1: 1.0, 128: 128.0, 255: 255.0}),
        ((-2.5, 2.6), {0: -2.5, 125: 0.0, 255: 2.6}),
    ],
)
def test_float_pixels_fill_their_range(
    ends: tuple[float, float], expected: dict[int, float]
) -> None:
    table = input_table(image_input("float32", ends), tensor_info("float32", None))
    assert table is not None
    assert (table.shape, table.dtype) == ((256,), np.float32)
    assert {pixel: table[pixel] for pixel in expected} == pytest.approx(expected, abs=1e-6)
    assert np.diff(table.astype(float)) == pytest.approx((ends[1] - ends[0]) / 255, abs=1e-6)


def test_the_range_0_to_255_leaves_the_numbers_as_they_are() -> None:
    table = input_table(image_input("float32", (0, 255)), tensor_info("float32", None))
    assert table is not None
    assert table.tolist() == list(range(256))


@pytest.mark.parametrize(
    ("dtype", "ends", "levels", "expected"),
    [
        ("uint8", (0, 1), (1 / 255, 0), {0: 0, 1: 1, 127: 127, 255: 255}),
        ("uint8", (0, 1), (1 / 128, 10), {0: 10, 1: 11, 51: 36, 255: 138}),
        ("int8", (0, 1), (1 / 255, -128), {0: -128, 1: -127, 128: 0, 255: 127}),
        ("int8", (-1, 1), (1 / 127.5, 0), {0: -128, 255: 127}),
        ("int8", (0, 255), (1, -128), {0: -128, 128: 0, 255: 127}),
        # What lies beyond the integers is the last of them, and no other.
        ("int8", (-2, 2), (1 / 128, 0), {0: -128, 63: -128, 127: -1, 191: 127, 255: 127}),
        ("uint8", (-1, 1), (1 / 128, 0), {0: 0, 127: 0, 255: 128}),
    ],
)
def test_integer_pixels_stand_for_their_range(
    dtype: str, ends: tuple[float, float], levels: tuple[float, int], expected: dict[int, int]
) -> None:
    table = input_table(image_input(dtype, ends), tensor_info(dtype, levels))
    assert table is not None
    assert (table.shape, str(table.dtype)) == ((256,), dtype)
    assert {pixel: int(table[pixel]) for pixel in expected} == expected


@given(
    dtype=st.sampled_from(["uint8", "int8"]),
    low=st.floats(-10, 10),
    width=st.floats(0.01, 300),
    scale=st.floats(1e-3, 2),
    zero=st.integers(0, 255),
)
def test_an_integer_pixel_is_the_nearest_level_there_is(
    dtype: str, low: float, width: float, scale: float, zero: int
) -> None:
    lowest = {"uint8": 0, "int8": -128}[dtype]
    levels = (scale, lowest + zero)
    table = input_table(image_input(dtype, (low, low + width)), tensor_info(dtype, levels))
    assert table is not None
    real = scale * (np.arange(lowest, lowest + 256) - levels[1])
    for pixel in (0, 1, 77, 254, 255):
        wanted = low + pixel * width / 255
        nearest = np.abs(real - wanted).min()
        assert abs(real[int(table[pixel]) - lowest] - wanted) <= nearest + 1e-9


def test_blue_comes_first_where_the_contract_says_so() -> None:
    tensor = pixels_of((10, 20, 30))
    assert as_input(tensor, image_input("uint8", None), None)[0, 0, 0].tolist() == [10, 20, 30]
    turned = as_input(tensor, image_input("uint8", None, "BGR"), None)
    assert turned[0, 7, 5].tolist() == [30, 20, 10]
    assert turned.flags.c_contiguous
    image = image_input("float32", (0, 255), "BGR")
    table = input_table(image, tensor_info("float32", None))
    assert as_input(tensor, image, table)[0, 0, 0].tolist() == [30.0, 20.0, 10.0]
    assert tensor[0, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("backend", installed_backends())
@pytest.mark.parametrize(
    ("weight", "options"),
    [
        (1 / 256, {}),
        (255 / 256, {"pixels": "float32", "pixel_range": (0, 1)}),
        (1 / 256, {"pixels": "float32", "pixel_range": (0, 255)}),
        (1, {"pixels": "uint8", "pixel_range": (0, 1), "pixel_levels": (1 / 256, 0)}),
        (1 / 256, {"pixels": "int8", "pixel_range": (0, 255), "pixel_levels": (1, -128)}),
        (1, {"pixels": "int8", "pixel_range": (0, 1), "pixel_levels": (1 / 256, -128)}),
    ],
)
def test_a_model_gets_its_pixels_in_any_type(
    model: Make, weight: float, options: dict[str, Any], backend: str
) -> None:
    """Each of these models gives a 256th of the mean red, whatever its input stands for."""
    made = model([[weight, 0, 0]], end=None, backend=backend, **options)
    for red in (0, 1, 100, 127, 128, 200, 255):
        (score,) = made.outputs(pixels_of((red, 7, 99)))
        coarse = options.get("pixel_range") == (0, 1) and "pixel_levels" in options
        expected = min(round(red / 255 * 256), 255) if coarse else red
        assert score == pytest.approx(expected / 256, abs=1e-6)


@pytest.mark.parametrize(("color", "channel"), [("RGB", 0), ("BGR", 2)])
@pytest.mark.parametrize("options", [{}, {"pixels": "float32", "pixel_range": (0, 255)}])
def test_a_model_gets_its_colours_in_the_contract_s_order(
    model: Make, color: str, channel: int, options: dict[str, Any]
) -> None:
    made = model(RED_ALONE, end=None, color=color, **options)
    rgb = (40, 80, 160)
    assert made.outputs(pixels_of(rgb)).tolist() == [rgb[channel] / 256]


@pytest.mark.parametrize("backend", installed_backends())
@pytest.mark.parametrize(("dtype", "zero"), [("uint8", 0), ("int8", -128)])
def test_integer_outputs_are_the_numbers_that_they_stand_for(
    model: Make, dtype: str, zero: int, backend: str
) -> None:
    levels = {"output_type": dtype, "output_levels": (1 / 256, zero)}
    made = model(RED_ALONE, end=None, backend=backend, **levels)
    for red in (0, 1, 128, 255):
        outputs = made.outputs(pixels_of((red, 0, 0)))
        assert (outputs.dtype, outputs.tolist()) == (np.float64, [red / 256])
    numbers = real_values(np.array([0.0, 10, 255]), Quantization(0.5, 10))
    assert numbers.tolist() == [-5, 0, 122.5]


def test_there_is_an_output_for_each_unit(model: Make) -> None:
    two = model(COLOURS[:2], end=None)
    assert two.outputs(pixels_of((64, 128, 0))).tolist() == [0.25, 0.5]
    three = model(COLOURS, end=None, labels=["a", "b", "c"])
    assert three.outputs(pixels_of((64, 128, 32))).tolist() == [0.25, 0.5, 0.125]
    softmax = model(COLOURS, end="SOFTMAX", labels=["a", "b", "c"])
    outputs = softmax.outputs(pixels_of((64, 128, 32)))
    exact = np.exp([0.25, 0.5, 0.125])
    assert outputs == pytest.approx(exact / exact.sum(), abs=1e-6)


@pytest.mark.parametrize(
    ("bias", "score"), [(0, 0), (1, 1), (1 + 9e-6, 1), (-9e-6, 0), (0.999, 0.999)]
)
def test_rounding_beyond_0_and_1_is_taken_off(model: Make, bias: float, score: float) -> None:
    made = model([[0, 0, 0]], bias=[bias], end=None)
    (given,) = made.outputs(pixels_of((0, 0, 0)))
    assert 0 <= given <= 1
    assert given == pytest.approx(score, abs=1e-7)


@pytest.mark.parametrize("bias", [-2e-5, 1 + 2e-5, -1, 2, 200, math.nan, math.inf, -math.inf, 3e38])
def test_an_output_beyond_0_to_1_is_no_score(model: Make, bias: float) -> None:
    for biases in ([bias], [0.5, bias], [bias, 0.5]):
        made = model([[0, 0, 0]] * len(biases), bias=biases, end=None)
        with pytest.raises(UnusableInput, match=r"the model gave .* in place of a score") as caught:
            made.outputs(pixels_of((0, 0, 0)))
        assert caught.value.file == "tiny.tflite"
        assert "run `lesionlite verify` on it" in caught.value.remedy
        assert ("[" in caught.value.problem) is (len(biases) > 1)


@pytest.mark.parametrize(
    ("level", "score"), [(0, 0.0), (9, 0.0), (10, 0.0), (11, 0.01), (110, 1.0), (111, 1.0)]
)
def test_integers_may_miss_0_and_1_by_a_level(model: Make, level: int, score: float) -> None:
    """Zero point 10, scale 0.01: level 9 stands for -0.01, level 111 for 1.01."""
    levels = {"output_type": "uint8", "output_levels": (0.01, 10)}
    made = model([[0, 0, 0]], bias=[(level - 10) / 100], end=None, **levels)
    if level == 0:
        with pytest.raises(UnusableInput, match=r"the model gave -0\.09"):
            made.outputs(pixels_of((0, 0, 0)))
    else:
        assert made.outputs(pixels_of((0, 0, 0))) == pytest.approx(score, abs=1e-6)


def test_integers_far_beyond_1_are_no_score(model: Make) -> None:
    levels = {"output_type": "uint8", "output_levels": (0.01, 10)}
    made = model([[0, 0, 0]], bias=[1.02], end=None, **levels)
    with pytest.raises(UnusableInput, match=r"the model gave 1\.01\d* in place of a score"):
        made.outputs(pixels_of((0, 0, 0)))


@pytest.mark.parametrize("options", [{}, {"pixels": "float32", "pixel_range": (0, 255)}])
def test_the_pixels_are_uint8_whatever_the_model_takes(
    model: Make, options: dict[str, Any]
) -> None:
    made = model(RED_ALONE, end=None, **options)
    for wrong in (pixels_of((0, 0, 0)).astype(np.float32), pixels_of((0, 0, 0))[0]):
        with pytest.raises(UnusableInput, match=r"not uint8 \[1, 8, 6, 3\]"):
            made.outputs(wrong)
    tensor = made.tensor(np.full((80, 60, 3), 9, np.uint8))
    assert (tensor.shape, tensor.dtype) == ((1, 8, 6, 3), np.uint8)


def test_a_photo_s_outputs_come_with_its_name_digest_and_times(model: Make, tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (60, 80), (64, 0, 0)).save(stream, "PNG")
    path = tmp_path / "red.png"
    path.write_bytes(stream.getvalue())
    made = model(RED_ALONE, end=None)
    by_path, by_bytes = made.invoke(path, None), made.invoke(stream.getvalue(), "camera")
    assert (by_path.file, by_bytes.file) == (str(path), "camera")
    assert by_path.outputs.tolist() == by_bytes.outputs.tolist() == [0.25]
    assert by_path.sha256 == hashlib.sha256(stream.getvalue()).hexdigest() == by_bytes.sha256
    assert by_path.decode_ms > 0
    assert by_path.invoke_ms > 0
    assert len(made.model_id) == 12
    assert made.backend == installed_backends()[0]
