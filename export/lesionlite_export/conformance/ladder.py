"""What wrong images have in common: which stage went wrong, where no known mistake explains it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lesionlite_export.kit import photo
from lesionlite_export.kit.stages import COLOR, DECODE, ORIENTATION, RESIZE

# The narrowest first among features that the same images have.
_STAGE_OF: Mapping[str, tuple[str, str]] = {
    photo.CMYK: (DECODE, "CMYK images are decoded to other pixels"),
    photo.DEEP: (DECODE, "16-bit images are decoded to other pixels"),
    photo.ALPHA: (DECODE, "partly transparent images are decoded to other pixels"),
    photo.PROFILE: (DECODE, "images with a colour profile are decoded to other pixels"),
    photo.PALETTE: (DECODE, "images with a palette are decoded to other pixels"),
    photo.PROGRESSIVE: (DECODE, "progressive JPEGs are decoded to other pixels"),
    photo.GREY: (DECODE, "grey images (one channel) are decoded to other pixels"),
    photo.PNG_TURNED: (ORIENTATION, "PNGs with an EXIF orientation are turned otherwise"),
    photo.TURNED: (ORIENTATION, "images with an EXIF orientation are turned otherwise"),
    photo.SUBSAMPLED: (DECODE, "JPEGs with subsampled chroma are decoded to other pixels"),
    photo.JPEG: (DECODE, "JPEGs are decoded to other pixels"),
    photo.RESIZED: (RESIZE, "images that are resized come out otherwise"),
    photo.COLORED: (COLOR, "coloured images come out otherwise, grey ones do not"),
}
_PLAIN = frozenset({photo.PNG})
_SHARE = 0.6


@dataclass(frozen=True)
class Common:
    """A feature that wrong images share, with its stage and a sentence about it."""

    feature: str
    stage: str
    sentence: str
    images: tuple[str, ...]


def is_plain(features: Collection[str]) -> bool:
    """Whether an image goes through no stage but range, model and what follows."""
    return set(features) <= _PLAIN


def is_plain_but_coloured(features: Collection[str]) -> bool:
    """Whether an image goes through no stage before the colour order."""
    return set(features) == {*_PLAIN, photo.COLORED}


def left_over(features: Collection[str], decoded_right: bool) -> tuple[str, ...]:
    """``features`` that may be to blame.

    Where the picture is known to be right before the resize, neither decoding nor turning it is.
    """
    settled = (DECODE, ORIENTATION) if decoded_right else ()
    return tuple(f for f in features if f not in _STAGE_OF or _STAGE_OF[f][0] not in settled)


def in_common(
    wrong: Sequence[str], judged: Mapping[str, Collection[str]]
) -> tuple[list[Common], list[str]]:
    """The features that explain the wrong images, and those of them that have none in common.

    A feature explains images when most of the judged images that have it are wrong; the one that
    explains most of them is taken first, and of those the one whose images are wrong most often.

    Args:
        wrong: names of images that nothing explains.
        judged: all images that were judged, wrong or right, with their features.
    """
    left, found = list(wrong), []
    while left:
        ranked = [
            (len(images), share, -order, feature, images)
            for order, feature in enumerate(_STAGE_OF)
            for images, share in [_having(feature, left, wrong, judged)]
            if images and share >= _SHARE
        ]
        if not ranked:
            break
        *_, feature, images = max(ranked, key=lambda entry: entry[:3])
        stage, sentence = _STAGE_OF[feature]
        found.append(Common(feature, stage, sentence, images))
        left = [name for name in left if name not in images]
    return found, left


def _having(
    feature: str,
    left: Sequence[str],
    wrong: Sequence[str],
    judged: Mapping[str, Collection[str]],
) -> tuple[tuple[str, ...], float]:
    """Those of ``left`` that have the feature, and how many of all that have it are wrong."""
    having = [name for name, features in judged.items() if feature in features]
    share = sum(name in wrong for name in having) / len(having) if having else 0.0
    return tuple(name for name in left if name in having), share
