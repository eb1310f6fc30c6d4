"""What a training could not use: reasons on standard error, and the exit code of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from lesionlite_export.representative import Unusable
from lesionlite_runtime.errors import SomeInputsFailed
from lesionlite_training.originals import CameraFiles


def tell_reasons(unusable: Sequence[Unusable], files: CameraFiles) -> None:
    """A line for each image and original that could not be used."""
    for item in (*unusable, *files.unusable):
        click.echo(f"lesionlite: {item.error}", err=True)


def fail_if_unusable(
    unusable: Sequence[Unusable], files: CameraFiles, n_images: int, others: str, place: Path
) -> None:
    """End with exit code 4 where some inputs could not be used.

    Args:
        unusable: images.
        files: originals.
        n_images: how many images there were, the unusable ones among them.
        others: what was done without them.
        place: the file that the message names.

    Raises:
        SomeInputsFailed: see above.
    """
    n_originals = len(files.tensors) + files.same + len(files.unusable)
    counts = (len(unusable), n_images, "images"), (len(files.unusable), n_originals, "originals")
    lost = [f"{count} of {total} {name}" for count, total, name in counts if count]
    if lost:
        raise SomeInputsFailed(
            f"{' and '.join(lost)} could not be used, and {others}", "see the reasons above", place
        )
