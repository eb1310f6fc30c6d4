"""What all drawings share: a seeded canvas, smooth noise, shapes with soft edges, pigment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

# float32 throughout; the stubs of NumPy widen it when Python numbers join in.
Field = NDArray[np.floating[Any]]
Colour = tuple[float, float, float]

# How strongly melanin swallows red, green and blue: more of it turns skin tan, brown, then black.
_MELANIN = (0.54, 0.80, 0.94)
_OVERSAMPLING = 2


@dataclass(frozen=True)
class Canvas:
    """A picture while it is drawn.

    Attributes:
        height: in pixels.
        width: in pixels.
        random: where every choice of the drawing comes from.
        x: float32 ``[height, width]``, 0 in the middle, ±1 at the nearer pair of sides.
        y: as ``x``, downwards.
        rgb: float32 ``[3, height, width]``, 0..255, changed in place. Planes, since NumPy is
            several times faster along long rows than along three colours.
    """

    height: int
    width: int
    random: np.random.Generator
    x: Field
    y: Field
    rgb: Field

    @classmethod
    def blank(cls, height: int, width: int, random: np.random.Generator) -> Canvas:
        """A black canvas of ``height`` x ``width`` pixels."""
        unit = min(height, width) / 2
        rows = (np.arange(height, dtype=np.float32) + 0.5 - height / 2) / unit
        columns = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / unit
        y, x = np.meshgrid(rows, columns, indexing="ij")
        return cls(height, width, random, x, y, np.zeros((3, height, width), np.float32))

    @property
    def unit(self) -> float:
        """Pixels from the middle to the nearer pair of sides: the unit of length."""
        return min(self.height, self.width) / 2

    def uniform(self, low: float, high: float) -> float:
        """A number between ``low`` and ``high``."""
        return float(self.random.uniform(low, high))

    def normal(self, deviation: float) -> float:
        """A number of the normal distribution around 0."""
        return float(self.random.normal(0, deviation))

    def chance(self, probability: float) -> bool:
        """True with ``probability``."""
        return bool(self.random.random() < probability)

    def noise(self, size: float, octaves: int = 1) -> Field:
        """Smooth noise, mean 0 and deviation about 1, with bumps of ``size`` units.

        Each further octave is half as large and half as strong.
        """
        total = np.zeros((self.height, self.width), np.float32)
        for octave in range(octaves):
            cell = max(size * self.unit / 2**octave, 1.0)
            shape = (int(self.height / cell) + 3, int(self.width / cell) + 3)
            grid = Image.fromarray(self.random.standard_normal(shape, np.float32))
            window = (1.0, 1.0, 1 + self.width / cell, 1 + self.height / cell)
            smooth = grid.resize((self.width, self.height), Image.Resampling.BICUBIC, box=window)
            total += np.asarray(smooth) * (1.4 / 2**octave)
        return total

    def darken(self, pigment: Field) -> None:
        """Lay melanin over the picture; 0 is none, 1 brown, 3 nearly black."""
        amount = np.maximum(pigment, 0)
        for plane, strength in enumerate(_MELANIN):
            self.rgb[plane] *= np.exp(-strength * amount)

    def blend(self, colour: Colour, alpha: Field) -> None:
        """Mix ``colour`` in where ``alpha``, 0..1, is above 0."""
        opacity = np.clip(alpha, 0, 1)
        for plane, value in enumerate(colour):
            self.rgb[plane] += (value - self.rgb[plane]) * opacity

    def strokes(
        self, draw: Callable[[ImageDraw.ImageDraw, float], None], blur: float = 0.0
    ) -> Field:
        """What ``draw`` paints with fill 0..255, as smooth coverage 0..1, ``[height, width]``.

        Args:
            draw: gets a drawing surface and the pixels per unit on it; its origin is the corner.
            blur: how far edges are softened, in units.
        """
        size = (self.width * _OVERSAMPLING, self.height * _OVERSAMPLING)
        surface = Image.new("L", size)
        draw(ImageDraw.Draw(surface), self.unit * _OVERSAMPLING)
        coverage = surface.reduce(_OVERSAMPLING)
        if blur:
            coverage = coverage.filter(ImageFilter.GaussianBlur(blur * self.unit))
        return np.asarray(coverage, np.float32) / 255

    def spots(self, x: Field, y: Field, radius: Field, strength: Field) -> Field:
        """Coverage 0..1 of soft round spots at (x, y), all in the canvas' units."""
        middle_x, middle_y = self.width / 2 / self.unit, self.height / 2 / self.unit

        def draw(surface: ImageDraw.ImageDraw, scale: float) -> None:
            for column, row, r, value in zip(x, y, radius, strength, strict=True):
                cx, cy = (column + middle_x) * scale, (row + middle_y) * scale
                rx, ry = r * scale * self.uniform(0.75, 1.3), r * scale * self.uniform(0.75, 1.3)
                box = (cx - rx, cy - ry, cx + rx, cy + ry)
                surface.ellipse(box, fill=int(255 * value))

        return self.strokes(draw, blur=0.35 * float(np.median(radius)))

    def defocus(self, radius: float) -> None:
        """Blur the picture by ``radius`` pixels, as a lens out of focus does."""
        blurred = Image.fromarray(self.pixels()).filter(ImageFilter.GaussianBlur(radius))
        self.rgb[:] = np.moveaxis(np.asarray(blurred), 2, 0)

    def pixels(self) -> NDArray[np.uint8]:
        """The finished picture, uint8 ``[height, width, 3]``."""
        rounded = np.clip(self.rgb + 0.5, 0, 255).astype(np.uint8)
        return np.ascontiguousarray(np.moveaxis(rounded, 0, 2))


def soft_step(value: Field, width: float) -> Field:
    """0 below zero, 1 above, with a smooth rise about ``width`` wide."""
    rise: Field = 1 / (1 + np.exp(np.clip(value * (-4 / width), -60, 60)))
    return rise
