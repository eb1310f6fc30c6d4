"""How many of the mistakes that a kit records `lesionlite conform` names: the table of the page.

    python benchmarks/conformance.py --write docs/conformance.md

Records a kit of the shipped model and makes each of its mistakes in turn, on every image of the
kit: as scores of XNNPACK's kernels, as digests of the wrong pixels, and as scores of the built-in
kernels, these also given out for a GPU's. "Named": the first finding is that mistake, or one that
gives the same. "Stage alone": its stage and no mistake. Prints Markdown, and with --write puts it
between the markers of that page.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from pages import markdown_table, put, write_option

from lesionlite_export.conformance.judge import judge_results
from lesionlite_export.kit.kernels import Kernels
from lesionlite_export.kit.manifest import BUILTIN, XNNPACK, KitFolder, KitMistake, read_kit
from lesionlite_export.kit.mistakes import PixelMistake, pixel_mistakes, range_mistakes
from lesionlite_export.kit.photo import Photo
from lesionlite_export.kit.record import AnyMistake, record_kit
from lesionlite_export.progress import Reporter, reporter
from lesionlite_runtime.classifier import shipped_model
from lesionlite_runtime.contract import classifier_contract
from lesionlite_runtime.door import DeviceModel, open_model
from lesionlite_runtime.pixels import pixels_sha256

NAMED, STAGE, ANOTHER, UNSEEN = "named", "stage alone", "another stage", "not seen"
Rows = Sequence[Mapping[str, Any]]


class Port:
    """Every image of a kit with one mistake at a time, in both kernels."""

    def __init__(self, kit: KitFolder, opened: DeviceModel) -> None:
        contract = classifier_contract(opened.contract)
        tensor = opened.graph.tensors[opened.graph.inputs[contract.input.name]]
        made: list[AnyMistake] = [*pixel_mistakes(), *range_mistakes(contract.input, tensor)]
        self._made = {mistake.name: mistake for mistake in made}
        self._builtin = Kernels(opened, contract, BUILTIN)
        self._images = kit.kit.images
        self._photos = [Photo(kit.image_bytes(image), contract.input) for image in self._images]

    def scores(self, mistake: KitMistake) -> Rows:
        """By XNNPACK's kernels: what the kit recorded."""
        both = zip(self._images, mistake.scores[XNNPACK], strict=True)
        return [
            {"file": image.name, "score": image.scores[XNNPACK] if wrong is None else wrong}
            for image, wrong in both
        ]

    def digests(self, mistake: KitMistake) -> Rows:
        """The same, with the digest of what the network was given."""
        return [
            {**row, "pixels_sha256": pixels_sha256(self._pixels(mistake, photo))}
            for row, photo in zip(self.scores(mistake), self._photos, strict=True)
        ]

    def builtin(self, mistake: KitMistake) -> Rows:
        """By the built-in kernels."""
        return [
            {"file": image.name, "score": self._builtin.score(self._pixels(mistake, photo))}
            for image, photo in zip(self._images, self._photos, strict=True)
        ]

    def _pixels(self, mistake: KitMistake, photo: Photo) -> NDArray[np.uint8]:
        made = self._made[mistake.name]
        if isinstance(made, PixelMistake):
            wrong = made.tensor(photo)
            return photo.tensor if wrong is None else wrong
        return np.asarray(made.value(photo.tensor)[0]).view(np.uint8)


@click.command()
@write_option
def main(write: Path | None) -> None:
    """Print the table."""
    report = reporter(quiet=False)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "kit")
        record_kit(shipped_model(), place, report=report)
        kit = read_kit(place)
        port = Port(kit, open_model(shipped_model()))
        ways: tuple[tuple[str, Callable[[KitMistake], Rows], str | None], ...] = (
            ("scores of XNNPACK's kernels, backend named", port.scores, "litert"),
            ("the same, backend not named", port.scores, None),
            ("the same, with digests of the pixels", port.digests, "litert"),
            ("scores of the built-in kernels, backend named", port.builtin, "litert-builtin"),
            ("the same, backend not named", port.builtin, None),
            ("the same, given out for a GPU's", port.builtin, "gpu"),
        )
        lines = [_line(kit, *way, report) for way in ways]
    table = markdown_table(("what comes back", NAMED, STAGE, ANOTHER, UNSEEN), lines)
    click.echo(table)
    if write is not None:
        put(write, __file__, table)


def _line(
    kit: KitFolder,
    what: str,
    rows: Callable[[KitMistake], Rows],
    backend: str | None,
    report: Reporter,
) -> tuple[str, ...]:
    mistakes = kit.kit.mistakes
    found = Counter(
        _outcome(kit, mistake, rows(mistake), backend)
        for mistake in report.track(mistakes, what, len(mistakes))
    )
    return (what, *(str(found[outcome]) for outcome in (NAMED, STAGE, ANOTHER, UNSEEN)))


def _outcome(kit: KitFolder, mistake: KitMistake, rows: Rows, backend: str | None) -> str:
    lines = [*([{"backend": backend}] if backend else []), *rows]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.jsonl")
        results.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
        first = judge_results(results, kit.path).first_wrong
    if first is None:
        return UNSEEN
    if mistake.name in (first.mistake, *first.tied):
        return NAMED
    return STAGE if first.stage == mistake.stage and first.mistake is None else ANOTHER


if __name__ == "__main__":
    main()
