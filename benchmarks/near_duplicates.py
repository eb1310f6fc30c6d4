"""What the check for near-duplicates finds of changed copies: the table of docs/data.md.

    python benchmarks/near_duplicates.py isic2017 --originals fullres

Prints Markdown: of 300 photos, how many changed copies are found again.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from lesionlite_runtime.pixels import decode
from lesionlite_training.duplicates import fingerprint, near_pairs

Change = Callable[[Image.Image], Image.Image]


def _jpeg(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=40)
    return Image.open(stream)


def _scaled(factor: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        size = (round(image.width * factor), round(image.height * factor))
        return image.resize(size, Image.Resampling.BICUBIC)

    return change


def _colored(*factors: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        pixels = np.asarray(image, np.float64) * factors
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))

    return change


def _noisy(image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(0).normal(0, 10, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def _cropped(share: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        sides = np.array([image.width, image.height])
        low, high = sides * (1 - share) / 2, sides * (1 + share) / 2
        return image.resize(image.size, Image.Resampling.BICUBIC, box=(*low, *high))

    return change


def _shifted(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.roll(np.asarray(image), image.width // 32, axis=1))


CHANGES: dict[str, Change] = {
    "saved as JPEG of quality 40": _jpeg,
    "half the size": _scaled(0.5),
    "1.5 times the size": _scaled(1.5),
    "brightness × 0.7": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "brightness × 1.3 (bright skin is cut off)": lambda image: ImageEnhance.Brightness(
        image
    ).enhance(1.3),
    "contrast × 1.5": lambda image: ImageEnhance.Contrast(image).enhance(1.5),
    "other white balance (R × 1.15, G × 0.95, B × 0.8)": _colored(1.15, 0.95, 0.8),
    "noise of 10 levels": _noisy,
    "turned by 90°": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "mirrored, JPEG of quality 40": lambda image: _jpeg(
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    ),
    "cropped to 98 % of each side": _cropped(0.98),
    "cropped to 95 %": _cropped(0.95),
    "cropped to 90 %": _cropped(0.9),
    "turned by 3°": lambda image: image.rotate(3, Image.Resampling.BICUBIC),
    "shifted by 3 % of the width": _shifted,
}


def _found(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> bool:
    return bool(near_pairs([fingerprint(first), fingerprint(second)]))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--originals", type=click.Path(path_type=Path), help="The same photos, full size.")
@click.option("--count", default=300)
@click.option("--seed", default=1)
def command(folder: Path, originals: Path | None, count: int, seed: int) -> None:
    """Print how many changed copies of the photos in FOLDER/SPLIT/CLASS/ are found."""
    files = sorted(folder.glob("*/*/*.jpg"))
    chosen = np.random.default_rng(seed).choice(len(files), count, replace=False)
    photos = [decode(files[place]) for place in chosen]
    click.echo("| changed copy | found |\n|---|---|")
    for name, change in CHANGES.items():
        copies = (
            np.ascontiguousarray(np.asarray(change(Image.fromarray(photo)).convert("RGB")))
            for photo in photos
        )
        found = sum(_found(photo, copy) for photo, copy in zip(photos, copies, strict=True))
        click.echo(f"| {name} | {found} of {count} |")
    if originals is not None:
        small = {path.stem: path for path in files}
        pairs = [(p, small[p.stem]) for p in originals.glob("*/*.jpg") if p.stem in small]
        found = sum(_found(decode(large), decode(little)) for large, little in pairs)
        click.echo(f"| the camera's original and the squashed copy | {found} of {len(pairs)} |")


if __name__ == "__main__":
    command()
