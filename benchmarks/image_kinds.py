"""What tells noise from photos: the table of docs/verification.md.

    python benchmarks/image_kinds.py --data isic2017 --write docs/verification.md

For photos, the project's own drawings and noise of several kinds: the share of an image's variance
that is left in the means of 8 x 8 fields, and how many images `image_kind` names. All are brought
to 224 x 224 by `pillow-bilinear-v1`, as the network gets them.
"""

from __future__ import annotations

import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from pages import markdown_table, put, write_option
from PIL import Image, ImageFilter

from lesionlite_export.drawn import write_drawn_dataset
from lesionlite_export.image_kinds import CONSTANT, NOISE, image_kind, slow_share
from lesionlite_runtime.pixels import image_tensor

SIDE, RESIZE, FIT = 224, "pillow-bilinear-v1", "stretch"
COPIES = 30
EVERY = 20
Pixels = NDArray[np.uint8]
Make = Callable[[np.random.Generator], Image.Image]


def uniform(side: int) -> Make:
    """Noise of ``side`` x ``side`` pixels, every value as likely."""

    def make(generator: np.random.Generator) -> Image.Image:
        return Image.fromarray(generator.integers(0, 256, (side, side, 3), dtype=np.uint8))

    return make


def faint(generator: np.random.Generator) -> Image.Image:
    """Grey with noise of three levels."""
    drawn = np.clip(generator.normal(128, 3, (256, 256, 3)), 0, 255)
    return Image.fromarray(drawn.astype(np.uint8))


def compressed(generator: np.random.Generator) -> Image.Image:
    """Noise of 256 x 256 pixels, as JPEG."""
    stream = io.BytesIO()
    uniform(256)(generator).save(stream, "JPEG", quality=75)
    return Image.open(stream).convert("RGB")


def blurred(radius: float) -> Make:
    """Noise of 256 x 256 pixels, blurred."""

    def make(generator: np.random.Generator) -> Image.Image:
        return uniform(256)(generator).filter(ImageFilter.GaussianBlur(radius))

    return make


NOISES: dict[str, Make] = {
    **{f"noise, {side} x {side}": uniform(side) for side in (32, 64, 96, 128, 224, 256, 1024)},
    "noise, 256 x 256, JPEG of quality 75": compressed,
    "grey with noise of 3 levels, 256 x 256": faint,
    **{f"noise, 256 x 256, blurred by {radius:g}": blurred(radius) for radius in (1, 2, 4)},
}


def tensor(image: Image.Image) -> Pixels:
    """The network's input of ``image``."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return image_tensor(stream.getvalue(), SIDE, SIDE, RESIZE, FIT)


def photos(folder: Path) -> Iterator[Pixels]:
    """The network's input of every JPEG below ``folder``."""
    for path in sorted(folder.rglob("*.jpg")):
        yield image_tensor(path, SIDE, SIDE, RESIZE, FIT)


def spoiled(folder: Path, deviation: int) -> Iterator[Pixels]:
    """Some of the photos with noise of so many levels upon them."""
    generator = np.random.default_rng(0)
    for path in sorted(folder.rglob("*.jpg"))[::EVERY]:
        with Image.open(path) as image:
            noisy = np.asarray(image.convert("RGB")) + generator.normal(
                0, deviation, (image.height, image.width, 3)
            )
        yield tensor(Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)))


def row(name: str, images: Iterator[Pixels]) -> tuple[object, ...]:
    """Number of images, least, median and largest share, and how many are named what."""
    found = [(slow_share(pixels), image_kind(pixels)) for pixels in images]
    shares, kinds = np.array([share for share, _ in found]), Counter(kind for _, kind in found)
    figures = (f"{value:.3f}" for value in (shares.min(), np.median(shares), shares.max()))
    return name, len(found), *figures, kinds[NOISE], kinds[CONSTANT]


def rows(data: Path, originals: Path | None) -> Iterator[tuple[object, ...]]:
    """The rows of the table."""
    for split in ("train", "valid"):
        yield row(f"ISIC 2017 {split}", photos(data / split))
    if originals is not None:
        yield row("ISIC, originals", photos(originals))
    for deviation in (15, 30, 60):
        name = f"ISIC 2017 train, every {EVERY}th, with noise of {deviation} levels"
        yield row(name, spoiled(data / "train", deviation))
    with tempfile.TemporaryDirectory() as folder:
        counts = {"melanoma": COPIES, "nevus": COPIES}
        write_drawn_dataset(Path(folder), train=counts, valid={"melanoma": 1, "nevus": 1}, seed=0)
        yield row("drawings", photos(Path(folder, "train")))
    for name, make in NOISES.items():
        generator = np.random.default_rng(0)
        yield row(name, (tensor(make(generator)) for _ in range(COPIES)))


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of ISIC 2017.")
@click.option("--originals", type=click.Path(path_type=Path), help="Folder of larger photos.")
@write_option
def main(data: Path, originals: Path | None, write: Path | None) -> None:
    """Print the table."""
    head = ("images", "n", "least share", "median", "largest", "named noise", "named constant")
    table = markdown_table(head, rows(data, originals))
    print(table)
    if write is not None:
        put(write, __file__, table)


if __name__ == "__main__":
    main()
