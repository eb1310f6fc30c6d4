"""The tables of docs/bring-your-own.md: what a first pass makes of a wrong scaling of pixels.

    python benchmarks/first_pass.py --data isic2017 --write docs/bring-your-own.md

The network of samples/lesion.keras wants nearly -1 to 1. Behind another scaling of its own it
stands for a network that wants another range: only what reaches its first convolution matters, and
that is the same. Each is tried behind a draft with each scaling, on the photos of valid.

As a .keras it has its first batch norm: misfit in nats, and the verdict. As a float32 .tflite the
batch norm is folded, and the scores alone can tell: of 100 draws of 32 images of either label, how
many are refused and how many warned of. The third table has photos that are unlike those of the
training, behind the draft that is right: whatever is refused or warned of there is a false alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from pages import markdown_table, put, write_option

from lesionlite_export.convert import float32_tflite
from lesionlite_export.first_pass import MISFIT_REFUSED, MISFIT_WARNED, NARROW, PER_LABEL
from lesionlite_export.interface_edits import with_float_input
from lesionlite_export.keras_model import load_keras
from lesionlite_export.manifest import read_isic_split
from lesionlite_export.pixel_scaling import batch_norm_misfit, scaled, usual_scalings
from lesionlite_export.progress import reporter
from lesionlite_export.separation import separation_of
from lesionlite_export.verification import prepare_all
from lesionlite_runtime.contract import classifier_contract
from lesionlite_runtime.draft_fields import DraftImage

SAMPLE = Path(__file__).parents[1] / "samples" / "lesion.keras"
OWN = DraftImage((1, 224, 224, 3), (-127 / 128, 1.0), "RGB", "pillow-bilinear-v1")
DRAWS, FOR_BATCH_NORM = 100, 32
Pixels = NDArray[Any]
ALTERED: Mapping[str, Callable[[Pixels], Pixels]] = {
    "as they are": lambda x: x,
    "brightness x 0.4": lambda x: x * 0.4,
    "halfway to white": lambda x: 255 - (255 - x) * 0.5,
    "contrast x 0.3": lambda x: 128 + (x - 128) * 0.3,
    "grey": lambda x: x.mean(-1, keepdims=True).repeat(3, -1),
    "bluish": lambda x: x * np.array([0.5, 0.7, 1.0]),
}


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True)
@write_option
def main(data: Path, write: Path | None) -> None:
    """Print the tables, and put them into the page."""
    model = load_keras(SAMPLE)
    taken = classifier_contract(model.contract).input
    report = reporter(quiet=False)
    images = prepare_all(read_isic_split(data, "valid"), taken, "Reading", report)
    pixels = np.stack([p.pixels for p in images.images])
    labels = np.array([p.image.label for p in images.images])
    body = model.network.get_layer("efficientnet_lite0")
    some = pixels[np.linspace(0, len(pixels) - 1, FOR_BATCH_NORM).astype(int)]
    tables = {
        "misfit": _misfits(body, some),
        "scores": _scores(float32_tflite(model), pixels, labels),
        "altered": _altered(body, some),
    }
    for name, table in tables.items():
        print(f"\n{table}")
        if write is not None:
            put(write, __file__, table, name)


def scalings() -> dict[str, DraftImage]:
    """Every usual scaling by its name."""
    odd = replace(OWN, range=(-3.0, 5.0))
    return dict(usual_scalings(odd))


def as_pixels(values: Pixels, image: DraftImage) -> Pixels:
    """The pixels that a network of ``image`` takes ``values`` for."""
    factors, offsets = (np.array(of, np.float32) for of in image.scaling)
    pixels = (values - offsets) / factors
    return pixels[..., ::-1] if image.color == "BGR" else pixels


def reaching(pixels: Pixels, true: DraftImage, stated: DraftImage) -> Pixels:
    """What the sample's network gets in place of one that wants ``true``."""
    return scaled(as_pixels(scaled(pixels, stated), true), OWN)


def _verdict(own: float, others: list[float]) -> str:
    for (least, times), word in ((MISFIT_REFUSED, "refused"), (MISFIT_WARNED, "warned")):
        if own >= least and own >= times * min(others):
            return word
    return "passes"


def _misfits(body: Any, pixels: Pixels) -> str:
    rows = []
    for true_name, true in scalings().items():
        found = {
            name: batch_norm_misfit(body, reaching(pixels, true, stated)) or 0.0
            for name, stated in scalings().items()
        }
        cells = [
            f"{misfit:.2g}, {_verdict(misfit, [m for n, m in found.items() if n != name])}"
            for name, misfit in found.items()
        ]
        rows.append((true_name, *cells))
    return markdown_table(["it wants", *(f"draft: {name}" for name in scalings())], rows)


def _altered(body: Any, pixels: Pixels) -> str:
    rows = []
    for alteration, alter in ALTERED.items():
        x = alter(pixels.astype(np.float32)).astype(np.float32)
        cells = []
        for true_name, true in scalings().items():
            found = {
                name: batch_norm_misfit(body, reaching(x, true, stated)) or 0.0
                for name, stated in scalings().items()
            }
            own = found.pop(true_name)
            cells.append(f"{own:.2g}, {_verdict(own, list(found.values()))}")
        rows.append((alteration, *cells))
    return markdown_table(["photos", *(f"it wants {name}" for name in scalings())], rows)


def _scores(flatbuffer: bytes, pixels: Pixels, labels: NDArray[np.int64]) -> str:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=with_float_input(flatbuffer), num_threads=1)
    interpreter.allocate_tensors()
    taken = interpreter.get_input_details()[0]["index"]
    given = interpreter.get_output_details()[0]["index"]

    def score(values: Pixels) -> float:
        interpreter.set_tensor(taken, values[np.newaxis].astype(np.float32))
        interpreter.invoke()
        return float(interpreter.get_tensor(given).ravel()[0])

    rows = []
    for true_name, true in scalings().items():
        scores = {
            name: np.array([score(as_pixels(scaled(x, stated), true)) for x in pixels])
            for name, stated in scalings().items()
        }
        cells = [_drawn(name, scores, labels) for name in scores]
        rows.append((true_name, *cells))
    return markdown_table(["it wants", *(f"draft: {name}" for name in scalings())], rows)


def _drawn(stated: str, scores: Mapping[str, Pixels], labels: NDArray[np.int64]) -> str:
    """How many draws are refused and warned of, of scores or of their narrow range."""
    rng, refused, warned = np.random.default_rng(0), 0, 0
    for _ in range(DRAWS):
        chosen = np.concatenate(
            [rng.permutation(np.flatnonzero(labels == label))[:PER_LABEL] for label in (0, 1)]
        )
        of = {name: separation_of(s[chosen], labels[chosen]) for name, s in scores.items()}
        own = of.pop(stated)
        best = max(of.values(), key=lambda separation: separation.value)
        verdict = best.against(own)
        refused += verdict == "refused" or own.better_order() is not None
        narrow = np.ptp(scores[stated][chosen]) < NARROW
        warned += verdict == "warned" or (narrow and verdict is None)
    return "passes" if not refused + warned else f"{refused} refused, {warned} warned"


if __name__ == "__main__":
    main()
