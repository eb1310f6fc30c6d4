"""The three kinds of drawn lesions.

Each has an ``atypia`` between 0 and 1, how far it looks like a melanoma. The kinds overlap in it,
as real ones do: a set of drawings that a network parts without a doubt would prove little.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lesionlite_export.drawn.canvas import Canvas, Field, soft_step


@dataclass(frozen=True)
class _Outline:
    """Where a lesion lies: ``depth`` is 1 in its middle, 0 on its border, below 0 outside.

    ``angle`` is the direction from the middle in radians.
    """

    depth: Field
    angle: Field


def draw_nevus(canvas: Canvas) -> None:
    """A mole: symmetric, one or two browns, a soft regular border, often a network."""
    atypia = float(canvas.random.beta(1.3, 2.4))
    outline = _outline(canvas, canvas.uniform(0.32, 0.72), irregular=0.02 + 0.11 * atypia)
    mask = soft_step(outline.depth, canvas.uniform(0.18, 0.5))
    pigment = canvas.uniform(0.45, 1.25) * mask * (1 + 0.10 * canvas.noise(0.2, 3))
    if canvas.chance(0.5):
        core = canvas.uniform(0.2, 0.8) * soft_step(outline.depth - canvas.uniform(0.3, 0.6), 0.4)
        pigment += core * (1 + 0.2 * canvas.noise(0.15, 2))
    style = canvas.random.choice(["network", "globules", "plain"], p=[0.5, 0.25, 0.25])
    if style == "network":
        pigment += _network(canvas, 0.15 * atypia) * mask * canvas.uniform(0.15, 0.45)
    elif style == "globules":
        pigment += _globules(canvas, outline, 60, (0.0, 0.95)) * mask * canvas.uniform(0.3, 0.7)
    if atypia > 0.45:
        side = soft_step(canvas.noise(0.45) - 0.5, 0.8)
        pigment += side * mask * atypia
    canvas.darken(pigment)
    canvas.blend((196, 128, 118), 0.18 * canvas.uniform(0, 1) * mask)


def draw_melanoma(canvas: Canvas) -> None:
    """Asymmetric, notched, of many colours, with globules, streaks, veil and regression."""
    atypia = float(canvas.random.beta(3.0, 1.6))
    outline = _outline(canvas, canvas.uniform(0.45, 0.80), irregular=0.05 + 0.10 * atypia)
    ragged = outline.depth + 0.05 * atypia * canvas.noise(0.12, 2)
    mask = soft_step(ragged, canvas.uniform(0.08, 0.25))
    pigment = canvas.uniform(0.7, 1.3) * mask * (1 + 0.30 * atypia * canvas.noise(0.3, 3))
    for _ in range(int(canvas.random.integers(1, 4))):
        blotch = soft_step(canvas.noise(0.4, 2) - canvas.uniform(0.2, 0.8), 0.5)
        pigment += blotch * mask * canvas.uniform(0.5, 1.6) * atypia
    network = _network(canvas, 0.5) * soft_step(canvas.noise(0.4), 0.8)
    pigment += network * mask * canvas.uniform(0.2, 0.7)
    inside = soft_step(ragged - 0.15, 0.3)
    redness = soft_step(canvas.noise(0.45, 2) - 0.3, 0.8) * mask
    pigment *= 1 - 0.4 * redness
    globules = _globules(canvas, outline, int(20 + 70 * atypia), (-0.10, 0.6))
    pigment += globules * canvas.uniform(0.5, 1.5)
    if canvas.chance(0.2 + 0.5 * atypia):
        pigment += _streaks(canvas, outline) * canvas.uniform(0.4, 1.0)
    canvas.darken(pigment)
    canvas.blend((190, 82, 80), 0.35 * atypia * redness)
    if canvas.chance(0.2 + 0.5 * atypia):
        veil = soft_step(canvas.noise(0.5, 2) - canvas.uniform(0.2, 0.9), 0.7) * inside
        canvas.blend((100, 106, 122), canvas.uniform(0.3, 0.65) * veil)
    if canvas.chance(0.5 * atypia):
        scar = soft_step(canvas.noise(0.35, 3) - canvas.uniform(0.5, 1.0), 0.9) * inside
        canvas.blend((224, 190, 184), canvas.uniform(0.3, 0.6) * scar)


def draw_seborrheic_keratosis(canvas: Canvas) -> None:
    """Stuck on: a sharp border, a dull waxy surface, white cysts, dark plugs, furrows."""
    atypia = float(canvas.random.beta(1.5, 2.5))
    outline = _outline(canvas, canvas.uniform(0.38, 0.75), irregular=0.04 + 0.07 * atypia)
    ragged = outline.depth + 0.03 * canvas.noise(0.10, 2)
    mask = soft_step(ragged, canvas.uniform(0.03, 0.08))
    relief = canvas.noise(canvas.uniform(0.09, 0.22), 3)
    pigment = (0.35 + 0.7 * atypia + canvas.uniform(0.0, 0.3)) * mask * (1 + 0.18 * relief)
    if canvas.chance(0.5):
        ridges = np.exp(-((canvas.noise(canvas.uniform(0.10, 0.2), 2) / 0.35) ** 2))
        pigment += ridges * mask * canvas.uniform(0.2, 0.6)
    wax = ((196, 160, 112), (176, 156, 140), (150, 112, 84))[int(canvas.random.integers(3))]
    canvas.blend(wax, canvas.uniform(0.2, 0.6) * mask)
    plugs = _globules(canvas, outline, int(canvas.random.integers(3, 26)), (0.08, 0.95), 0.026)
    pigment += plugs * canvas.uniform(0.8, 1.6)
    canvas.darken(pigment)
    cysts = _globules(canvas, outline, int(canvas.random.integers(3, 30)), (0.1, 0.95), 0.018)
    canvas.blend((247, 236, 208), 0.75 * cysts)
    # Light from one side on the raised surface: the slope of the relief, bright or dark.
    slope = np.diff(relief, axis=1, prepend=relief[:, :1]) * (canvas.unit / 160)
    canvas.rgb[:] *= 1 + canvas.uniform(0.15, 0.45) * slope * mask
    canvas.blend((240, 228, 214), 0.3 * mask * soft_step(slope - 0.22, 0.15))


KINDS: dict[str, Callable[[Canvas], None]] = {
    "melanoma": draw_melanoma,
    "nevus": draw_nevus,
    "seborrheic_keratosis": draw_seborrheic_keratosis,
}


def _outline(canvas: Canvas, radius: float, irregular: float) -> _Outline:
    """An ellipse whose border wanders in and out by ``irregular`` of its radius."""
    centre_x, centre_y = canvas.normal(0.07), canvas.normal(0.07)
    turn, aspect = canvas.uniform(0, math.pi), canvas.uniform(0.68, 1.0)
    dx, dy = canvas.x - centre_x, canvas.y - centre_y
    u = dx * math.cos(turn) + dy * math.sin(turn)
    v = (dy * math.cos(turn) - dx * math.sin(turn)) / aspect
    angle = np.arctan2(v, u)
    border = np.ones_like(angle)
    for wave in range(2, 9):
        swing = canvas.normal(1.6 * irregular) / wave**0.8
        border += swing * np.cos(wave * angle + canvas.uniform(0, 2 * math.pi))
    wander = 1 + 0.7 * irregular * canvas.noise(0.3, 2)
    depth = 1 - np.hypot(u, v) / (radius * np.maximum(border * wander, 0.3))
    return _Outline(depth, angle)


def _network(canvas: Canvas, uneven: float) -> Field:
    """A honeycomb of brown lines, 0..2: three waves at 60 degrees, bent by noise."""
    first = canvas.uniform(0, math.pi)
    pitch = canvas.uniform(80, 130)
    bend_x = 0.014 * canvas.noise(0.10, 2)
    bend_y = 0.014 * canvas.noise(0.10, 2)
    total = np.zeros_like(canvas.x)
    for third in range(3):
        angle = first + third * math.pi / 3
        across = (canvas.x + bend_x) * math.cos(angle) + (canvas.y + bend_y) * math.sin(angle)
        total += np.cos(across * pitch)
    lines = soft_step(-0.35 - total, 1.2)
    strength: Field = np.clip(1 + (0.35 + uneven) * canvas.noise(0.25, 2), 0, 2)
    return lines * strength


def _globules(
    canvas: Canvas,
    outline: _Outline,
    count: int,
    depths: tuple[float, float],
    size: float = 0.016,
) -> Field:
    """Round spots, 0..1, strewn where the depth lies between ``depths``."""
    rows, columns = np.nonzero((outline.depth > depths[0]) & (outline.depth < depths[1]))
    if not len(rows):
        return np.zeros_like(outline.depth)
    chosen = canvas.random.integers(len(rows), size=count)
    place = rows[chosen], columns[chosen]
    radius = (size * canvas.random.lognormal(0, 0.4, count)).astype(np.float32)
    strength = canvas.random.uniform(0.4, 1.0, count).astype(np.float32)
    return canvas.spots(canvas.x[place], canvas.y[place], radius, strength)


def _streaks(canvas: Canvas, outline: _Outline) -> Field:
    """Lines that run out over a part of the border, 0..1."""
    spokes = canvas.uniform(26, 46)
    wave = np.cos(spokes * outline.angle + 3.0 * canvas.noise(0.25)) + 0.5 * canvas.noise(0.08)
    part = soft_step(np.cos(outline.angle - canvas.uniform(0, 2 * math.pi)) - 0.1, 0.5)
    band: Field = np.exp(-((outline.depth / 0.10) ** 2))
    return soft_step(wave - 0.6, 0.7) * part * band
