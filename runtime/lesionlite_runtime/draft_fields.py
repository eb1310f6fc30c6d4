"""The fields of a draft, as frozen dataclasses; `lesionlite_runtime.draft` reads and checks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lesionlite_runtime.codec import OPTIONAL
from lesionlite_runtime.contract_fields import ChosenOn, Interval

SIGMOID, SOFTMAX = "sigmoid", "softmax"
SIGMOID_LOGITS, SOFTMAX_LOGITS = "sigmoid_logits", "softmax_logits"
VALUES = (SIGMOID, SOFTMAX, SIGMOID_LOGITS, SOFTMAX_LOGITS)
"""What a network's outputs are: scores by either function, or logits that still need it."""

PIXEL_RANGE = (0, 255)
"""That of a network which takes pixels as they are."""
CORRECT_DRAFT = "correct the draft, or name the model that it is of"
"""What to do where a draft and the model that it came with contradict each other."""


@dataclass(frozen=True)
class DraftImage:
    """The pixels that a network takes: ``[1, H, W, 3]``.

    Attributes:
        shape: ``[1, H, W, 3]``.
        range: what the pixel values 0 and 255 become.
        color: order of the channels, ``RGB`` or ``BGR``.
        resize: how photos are resized, one of `RESIZE_METHODS`.
        mean: what is then taken from each channel, in the order of ``color``.
        std: what each channel is then divided by, likewise.
    """

    shape: tuple[int, ...]
    range: tuple[float, ...]
    color: str
    resize: str
    mean: tuple[float, ...] | None = field(default=None, metadata=OPTIONAL)
    std: tuple[float, ...] | None = field(default=None, metadata=OPTIONAL)

    @property
    def scaling(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Factors and offsets by channel: the network takes ``pixel * factor + offset``."""
        low, high = self.range
        mean, std = self.mean or (0.0, 0.0, 0.0), self.std or (1.0, 1.0, 1.0)
        factors = tuple((high - low) / 255 / s for s in std)
        return factors, tuple((low - m) / s for m, s in zip(mean, std, strict=True))

    @property
    def plain_range(self) -> tuple[float, float] | None:
        """What 0 and 255 become after mean and deviation; None where channels differ."""
        factors, offsets = (set(values) for values in self.scaling)
        if len(factors) > 1 or len(offsets) > 1:
            return None
        (factor,), (offset,) = factors, offsets
        return offset, 255 * factor + offset


@dataclass(frozen=True)
class DraftScore:
    """What a network of two labels gives for an image.

    Attributes:
        values: one of `VALUES`.
        units: how many numbers it gives: 1, for the second label, or 2, one for each.
        labels: two, in the order of the network's outputs.
        score_of: the label that a high score speaks for.
        classes: each class of the data and its label; the labels themselves where left out.
    """

    values: str
    units: int
    labels: tuple[str, ...]
    score_of: str
    classes: Mapping[str, str] | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class DraftLabels:
    """What a network of three labels or more gives for an image: a number for each.

    The attributes are as in `DraftScore`.
    """

    values: str
    labels: tuple[str, ...]
    classes: Mapping[str, str] | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class DraftThreshold:
    """The score from which on to refer, and the rule that it was chosen by.

    The rest is as in a contract's `Threshold`, and may be left out where it is not known.
    """

    value: float
    rule: str
    chosen_on: ChosenOn | None = field(default=None, metadata=OPTIONAL)
    sensitivity: Interval | None = field(default=None, metadata=OPTIONAL)
    specificity: Interval | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class DraftValue:
    """The number that a regression takes: lowest and highest, both included."""

    range: tuple[float, ...]


@dataclass(frozen=True)
class DraftUnit:
    """The unit of the number that a regression gives."""

    unit: str
