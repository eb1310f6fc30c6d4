"""A port in plain Pillow and NumPy, as somebody else would write it, with faults to switch on."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

Pixels = NDArray[np.uint8]
SIDE = 224


class Interpreter:
    """LiteRT on the shipped file, in XNNPACK's kernels or in the built-in ones."""

    def __init__(self, model: Path, *, builtin: bool = False) -> None:
        from ai_edge_litert.interpreter import Interpreter as LiteRt
        from ai_edge_litert.interpreter import OpResolverType

        kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if builtin else OpResolverType.AUTO
        interpreter = LiteRt(model_path=str(model), experimental_op_resolver_type=kind)
        self._run = interpreter.get_signature_runner("serving_default")

    def score(self, pixels: Pixels) -> float:
        """The score of uint8 ``[224, 224, 3]``."""
        return float(self._run(image=pixels[np.newaxis])["score"][0, 0])


def tensor(data: bytes, fault: str = "") -> Pixels:
    """What this port hands the model for an image file: uint8 ``[224, 224, 3]``."""
    image: Image.Image = Image.open(io.BytesIO(data))
    image.load()
    if "no exif" not in fault:
        image = ImageOps.exif_transpose(image)
    pixels = framed(colors(image, data, fault), fault)
    if "bgr" in fault:
        pixels = pixels[..., ::-1]
    return np.ascontiguousarray(RANGES.get(fault, lambda x: x)(pixels))


def colors(image: Image.Image, data: bytes, fault: str) -> Pixels:
    """sRGB, uint8 ``[h, w, 3]``."""
    profile = image.info.get("icc_profile")
    if image.mode == "CMYK":
        ink = np.asarray(image).astype(int)
        ink = 255 - ink if fault == "inks inverted" else ink
        return ((255 - ink[..., :3]) * (255 - ink[..., 3:]) // 255).astype(np.uint8)
    if image.mode == "L" and fault == "grey in red":
        grey = np.asarray(image)
        return np.dstack([grey, np.zeros_like(grey), np.zeros_like(grey)])
    if image.mode == "RGBA" and fault != "alpha dropped":
        white = Image.new("RGB", image.size, "white")
        white.paste(image.convert("RGB"), mask=image.getchannel("A"))
        return np.asarray(white)
    rgb = image.convert("RGB")
    if profile and fault == "exact colours":
        return exactly_converted(np.asarray(rgb), profile)
    if profile and fault != "no profile":
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        converted = ImageCms.profileToProfile(rgb, source, target, renderingIntent=intent)
        assert converted is not None
        rgb = converted
    pixels = np.asarray(rgb)
    is_deep = data[:4] == b"\x89PNG" and data[24] == 16
    return 255 - pixels if fault == "low bytes" and is_deep else pixels  # so the kit draws it


# sRGB's red, green and blue as columns of X, Y and Z, relative to D50.
SRGB = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.7141]]
)


def exactly_converted(rgb: Pixels, profile: bytes) -> Pixels:
    """To sRGB by the formula of docs/pixels.md in float64, where LittleCMS has 16 bits."""
    count = struct.unpack(">I", profile[128:132])[0]
    entries = (struct.unpack(">4sII", profile[132 + 12 * i :][:12]) for i in range(count))
    tags = {name: profile[start : start + length] for name, start, length in entries}
    columns = [np.frombuffer(tags[name], ">i4", 3, 8) / 65536 for name in _COLUMNS]
    light = [_light(tags[name])[rgb[..., i]] for i, name in enumerate(_CURVES)]
    to_linear = np.linalg.inv(SRGB) @ np.transpose(columns)
    linear = np.clip(np.stack(light, axis=-1) @ to_linear.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


_COLUMNS = (b"rXYZ", b"gXYZ", b"bXYZ")
_CURVES = (b"rTRC", b"gTRC", b"bTRC")


def _light(curve: bytes) -> NDArray[np.float64]:
    """The light of each of the 256 sample values."""
    samples = np.arange(256) / 255
    points = np.frombuffer(curve, ">u2", struct.unpack(">I", curve[8:12])[0], 12)
    if len(points) == 1:
        return np.asarray(samples ** (points[0] / 256))
    return np.interp(samples, np.linspace(0, 1, len(points)), points / 65535)


def framed(pixels: Pixels, fault: str) -> Pixels:
    """``[224, 224, 3]``: Pillow's bilinear, across, then down."""
    height, width = pixels.shape[:2]
    if "nearest" in fault:
        rows, columns = (np.arange(SIDE) * side // SIDE for side in (height, width))
        return pixels[rows[:, None], columns]
    if fault == "no antialias":
        return _half_pixel(pixels)
    if fault == "centre crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return _stretched(pixels[top : top + side, left : left + side], (SIDE, SIDE))
    if fault == "letterbox":
        scale = SIDE / max(height, width)
        inner = _stretched(pixels, (round(height * scale), round(width * scale)))
        boxed = np.zeros((SIDE, SIDE, 3), np.uint8)
        top, left = ((SIDE - side) // 2 for side in inner.shape[:2])
        boxed[top : top + len(inner), left : left + inner.shape[1]] = inner
        return boxed
    return _stretched(pixels, (SIDE, SIDE))


def _stretched(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    across = image.resize((size[1], image.height), Image.Resampling.BILINEAR)
    return np.asarray(across.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _half_pixel(pixels: Pixels) -> Pixels:
    """Bilinear between four pixels, half-pixel centres, rounded at the end."""
    values: NDArray[Any] = pixels.astype(np.float64)
    for axis in (0, 1):
        length = values.shape[axis]
        at = np.clip((np.arange(SIDE) + 0.5) * length / SIDE - 0.5, 0, length - 1)
        low = np.floor(at).astype(int)
        share = (at - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        upper = values.take(np.minimum(low + 1, length - 1), axis)
        values = values.take(low, axis) * (1 - share) + upper * share
    return np.rint(values).astype(np.uint8)


RANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "divided by 255": lambda x: (x / 255.0).astype(np.uint8),
    "minus 1 to 1": lambda x: np.trunc(x / 127.5 - 1).astype(np.int8).view(np.uint8),
}
