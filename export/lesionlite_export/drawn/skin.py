"""The skin under a drawn lesion, and what a dermoscope leaves over it."""

from __future__ import annotations

import math

import numpy as np
from PIL import ImageDraw

from lesionlite_export.drawn.canvas import Canvas, Field, soft_step


def draw_skin(canvas: Canvas) -> None:
    """Fill the canvas with skin: tone, uneven light, mottling, furrows, pores."""
    red = canvas.uniform(208, 238)
    green = red - canvas.uniform(26, 48)
    canvas.rgb[0], canvas.rgb[1], canvas.rgb[2] = red, green, green - canvas.uniform(-2, 24)
    melanin = canvas.uniform(0.6, 1.1) if canvas.chance(0.1) else canvas.uniform(0, 0.3)
    mottling = 0.022 * canvas.noise(0.35, 3) + 0.016 * canvas.noise(0.035, 2)
    canvas.darken(melanin + mottling + _furrows(canvas))
    flush = soft_step(canvas.noise(0.4, 2) - 0.7, 1.0) + soft_step(canvas.noise(0.06, 2) - 1, 1.0)
    canvas.blend((200, 98, 98), canvas.uniform(0.02, 0.16) * flush)
    angle = canvas.uniform(0, 2 * math.pi)
    slope = canvas.uniform(0.0, 0.14)
    light = 1 + slope * (canvas.x * math.cos(angle) + canvas.y * math.sin(angle))
    light -= canvas.uniform(0.0, 0.10) * (canvas.x**2 + canvas.y**2)
    canvas.rgb[:] *= light


def draw_artefacts(canvas: Canvas) -> None:
    """Lay over the lesion what cameras and gel add: hairs, bubbles, ruler, vignette, grain."""
    if canvas.chance(0.55):
        _draw_hairs(canvas)
    if canvas.chance(0.30):
        _draw_bubbles(canvas)
    if canvas.chance(0.20):
        _draw_ruler(canvas)
    if canvas.chance(0.30):
        _draw_vignette(canvas)
    canvas.defocus(canvas.uniform(0.3, 1.1) * canvas.unit / 160)
    grain = canvas.random.standard_normal((canvas.height, canvas.width), np.float32)
    canvas.rgb[:] += grain * canvas.uniform(1.0, 2.5)


def _furrows(canvas: Canvas) -> Field:
    """The fine criss-cross lines of skin, as pigment."""
    warp = 0.03 * canvas.noise(0.25)
    total = np.zeros_like(warp)
    first = canvas.uniform(0, math.pi)
    for angle in (first, first + canvas.uniform(0.9, 1.4)):
        across = canvas.x * math.cos(angle) + canvas.y * math.sin(angle) + warp
        total += np.maximum(np.cos(across * canvas.uniform(55, 75)) - 0.55, 0)
    visible = soft_step(canvas.noise(0.5), 2.0)
    return total * visible * canvas.uniform(0.0, 0.16)


def _draw_hairs(canvas: Canvas) -> None:
    count = int(canvas.random.integers(2, 16))
    main = canvas.uniform(0, 2 * math.pi)
    thickness = canvas.uniform(0.006, 0.016)

    def draw(surface: ImageDraw.ImageDraw, scale: float) -> None:
        size = np.array([canvas.width, canvas.height]) / canvas.unit
        for _ in range(count):
            angle = main + canvas.normal(0.5)
            along = np.array([math.cos(angle), math.sin(angle)]) * canvas.uniform(0.5, 1.6)
            start = canvas.random.uniform(-0.1, 1.1, 2) * size
            bend = canvas.random.normal(0, 0.18, 2)
            steps = np.linspace(0, 1, 24)[:, None]
            curve = start + along * (steps - 0.5) + bend * (4 * steps * (1 - steps))
            width = max(round(thickness * canvas.uniform(0.6, 1.2) * scale), 1)
            points = [(float(x), float(y)) for x, y in curve * scale]
            surface.line(points, fill=int(canvas.uniform(150, 240)), width=width, joint="curve")

    coverage = canvas.strokes(draw)
    dark = canvas.uniform(28, 70)
    canvas.blend((dark, 0.75 * dark, 0.62 * dark), coverage)


def _draw_bubbles(canvas: Canvas) -> None:
    """Air in the gel: a pale rim, a darker edge outside, one or two glints."""
    middle_x, middle_y = canvas.width / 2 / canvas.unit, canvas.height / 2 / canvas.unit
    for _ in range(int(canvas.random.integers(1, 7))):
        x, y = canvas.uniform(-middle_x, middle_x), canvas.uniform(-middle_y, middle_y)
        radius = canvas.uniform(0.03, 0.16)
        distance = np.hypot(canvas.x - x, canvas.y - y) / radius
        glint = np.hypot(canvas.x - x + radius * 0.4, canvas.y - y + radius * 0.4) / radius
        canvas.darken(0.18 * np.exp(-(((distance - 1.05) / 0.07) ** 2)))
        canvas.blend((255, 245, 240), 0.25 * np.exp(-(((distance - 0.90) / 0.09) ** 2)))
        canvas.blend((255, 255, 255), 0.6 * np.exp(-((glint / 0.14) ** 2)))


def _draw_ruler(canvas: Canvas) -> None:
    """The millimetre scale engraved in some contact plates, along one side."""
    spacing = canvas.uniform(0.10, 0.16)
    vertical = canvas.chance(0.5)
    inset = canvas.uniform(0.03, 0.12)

    def draw(surface: ImageDraw.ImageDraw, scale: float) -> None:
        length = (canvas.height if vertical else canvas.width) / canvas.unit
        width = max(round(0.008 * scale), 1)
        for number in range(int(length / spacing)):
            place = (number + 0.5) * spacing * scale
            far = (inset + (0.12 if number % 5 == 0 else 0.07)) * scale
            near = inset * scale
            line = (near, place, far, place) if vertical else (place, near, place, far)
            surface.line(line, fill=200, width=width)

    canvas.blend((35, 32, 38), canvas.strokes(draw))


def _draw_vignette(canvas: Canvas) -> None:
    """The round field of a dermoscope, dark outside."""
    x, y = canvas.uniform(-0.05, 0.05), canvas.uniform(-0.05, 0.05)
    distance = np.hypot(canvas.x - x, canvas.y - y)
    radius = canvas.uniform(1.0, 1.2) * max(canvas.width, canvas.height) / (2 * canvas.unit)
    canvas.blend((8, 7, 9), soft_step(distance - radius, canvas.uniform(0.02, 0.12)))
