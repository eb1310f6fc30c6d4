"""The stages from a file to a decision, in the order in which a port goes through them."""

from __future__ import annotations

DECODE = "decode"
ORIENTATION = "orientation"
RESIZE = "resize"
COLOR = "colour order"
RANGE = "range"
MODEL = "model"
DELEGATE = "delegate"
THRESHOLD = "threshold"

STAGES = (DECODE, ORIENTATION, RESIZE, COLOR, RANGE, MODEL, DELEGATE, THRESHOLD)
PIXEL_STAGES = STAGES[:5]
