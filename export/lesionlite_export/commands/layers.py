"""``--layers`` of ``lesionlite verify``: its options, and what they ask for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lesionlite_export.commands.options import path_type
from lesionlite_export.layers.compare import DEFAULT_IMAGES, compare_layers
from lesionlite_export.layers.explorer import OVERLAYS, node_data
from lesionlite_export.layers.result import LayerReport
from lesionlite_export.progress import Reporter
from lesionlite_export.recorded import RecordedScores
from lesionlite_export.reference import Reference
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.files import check_output_path, write_whole

_OPTIONS = (
    click.option(
        "--layers",
        is_flag=True,
        help="Compare operator by operator, and name the layers where the error starts.",
    ),
    click.option(
        "--layers-images",
        metavar="N",
        type=click.IntRange(1),
        default=DEFAULT_IMAGES,
        show_default=True,
        help="Images that the layers are compared on: a stratified sample.",
    ),
    click.option(
        "--layers-seed",
        metavar="N",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Seed of that sample.",
    ),
    click.option("--layers-json", type=path_type, help="Write the layers as JSON there."),
    click.option(
        "--layers-overlay",
        metavar="FOLDER",
        type=path_type,
        help="Write node data for Model Explorer there: added.json and total.json.",
    ),
)


@dataclass(frozen=True)
class LayerOptions:
    """What was asked for by ``--layers`` and the options beside it."""

    wanted: bool
    images: int
    seed: int
    json: Path | None
    overlay: Path | None
    force: bool

    @property
    def files(self) -> Mapping[str, Path | None]:
        """What is written, by option."""
        found = {"--layers-json": self.json}
        if self.overlay is not None:
            found |= {f"{name} of --layers-overlay": self.overlay / name for name in OVERLAYS}
        return found

    def check(self, alone: bool) -> None:
        """Refuse, before any work, what cannot be done.

        Args:
            alone: whether ``--matrix`` was not asked for as well.

        Raises:
            UsageError: when it was, when a file is asked for without ``--layers``, or could not be
                written.
        """
        if self.wanted and not alone:
            raise UsageError("--matrix and --layers are two questions", "ask one at a time")
        if not self.wanted and (self.json or self.overlay):
            raise UsageError("--layers-json and --layers-overlay need --layers", "add --layers")
        for path in self.files.values():
            if path is not None:
                check_output_path(path, self.force)

    def compare(
        self,
        reference: Reference,
        tflite: Path,
        data: Path | None,
        classes: Mapping[str, int] | None,
        report: Reporter,
    ) -> LayerReport | None:
        """The comparison, its files written; None where none was asked for."""
        if not self.wanted:
            return None
        assert not isinstance(reference, RecordedScores)  # refused before it was read
        compared = compare_layers(
            reference,
            tflite,
            data,
            images=self.images,
            seed=self.seed,
            classes=classes,
            report=report,
        )
        if self.json is not None:
            write_whole(self.json, f"{json_line(compared.to_json())}\n".encode(), self.force)
        if self.overlay is not None:
            for name, content in node_data(compared).items():
                path = self.overlay / name
                write_whole(path, f"{json_line(content)}\n".encode(), self.force)
        return compared


def layer_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options of ``--layers``, which reach ``command`` as one `LayerOptions` named ``layers``."""

    @functools.wraps(command)
    def wrapped(
        *args: Any,
        layers: bool,
        layers_images: int,
        layers_seed: int,
        layers_json: Path | None,
        layers_overlay: Path | None,
        force: bool,
        **others: Any,
    ) -> None:
        asked = LayerOptions(layers, layers_images, layers_seed, layers_json, layers_overlay, force)
        command(*args, layers=asked, force=force, **others)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
