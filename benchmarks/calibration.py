"""The curve of docs/calibration.md: what the number of images and the method do to an int8 file.

    python benchmarks/calibration.py --data isic2017 --write docs/calibration.md --plots plots

Each row is three exports (three seeds of the sample) by the recipe int8: litert-quantizer, then
bias correction on the same images. Scales are those of the quantized activations in the file, each
against its median over the seeds of the largest size; scales that are the same in every export by
min_max (a ReLU6 that every image fills) are left out. Flips and errors are against the Keras model,
on the proof images, at the model's own threshold. Prints Markdown, and with --write puts it between
the markers of that page.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from pages import markdown_table, put, write_option

from lesionlite_export import convert
from lesionlite_export.bias_correction import correct_biases
from lesionlite_export.calibration import DEFAULT_METHOD, METHODS, Ranges, calibrate
from lesionlite_export.keras_model import KerasModel, keras_outputs, load_keras
from lesionlite_export.manifest import Manifest, read_isic_split
from lesionlite_export.parity import ScoreParity, score_parity
from lesionlite_export.progress import Silent
from lesionlite_export.quantize import head_of, scaling_of, static_by_ranges
from lesionlite_export.representative import PreparedImage, distinct_sample
from lesionlite_export.stability import (
    Scales,
    activation_scales,
    median_scales,
    moving_scales,
    scale_changes,
)
from lesionlite_export.verification import prepare_all
from lesionlite_runtime.classifier import Classifier
from lesionlite_runtime.container import append_members
from lesionlite_runtime.contract import (
    CONTRACT_MEMBER,
    ClassifierContract,
    classifier_contract,
    with_flatbuffer,
)
from lesionlite_runtime.graph import read_graph

SIZES = (16, 32, 64, 100, 200, 350, 500)
METHODS_AT = 200
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Export:
    """One export: its scales by tensor, and its comparison with Keras."""

    method: str
    size: int
    scales: Scales
    parity: ScoreParity

    @property
    def flips(self) -> int:
        """Number of proof images with another decision."""
        return int(self.parity.flipped.sum())

    @property
    def mean_error(self) -> float:
        """Mean absolute error of the score."""
        return float(np.abs(self.parity.errors).mean())


@dataclass(frozen=True)
class Proof:
    """The images that every file is proved on, and what Keras says of them."""

    images: Sequence[PreparedImage]
    keras: list[float]

    def parity(self, contract: ClassifierContract, flatbuffer: bytes) -> ScoreParity:
        """The comparison of ``flatbuffer`` with Keras."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "model.tflite")
            written = with_flatbuffer(contract, flatbuffer)
            file.write_bytes(append_members(flatbuffer, {CONTRACT_MEMBER: written.to_bytes()}))
            classifier = Classifier(file)
            scores = [classifier.score(p.pixels[np.newaxis]) for p in self.images]
        return score_parity(
            [str(p.image.path) for p in self.images],
            [p.image.label for p in self.images],
            self.keras,
            scores,
            contract.threshold.value,
        )


def quantized(float32: bytes, ranges: Ranges) -> bytes:
    """int8 with scaling and head in float, of ranges that are there."""
    graph = read_graph(float32)
    return static_by_ranges(float32, [*scaling_of(graph), *head_of(graph)], ranges)


def export(
    model: KerasModel,
    float32: bytes,
    train: Manifest,
    proof: Proof,
    method: str,
    size: int,
    seed: int,
) -> Export:
    """The recipe int8 on ``size`` images of ``train``, by ``method``."""
    contract = classifier_contract(model.contract)
    name = contract.input.name
    sample = distinct_sample(train, contract.input, size, seed)
    tensors = [p.pixels[np.newaxis] for p in sample.images]
    int8 = quantized(float32, calibrate(float32, tensors, name, method))
    flatbuffer = correct_biases(float32, int8, tensors, name).tflite
    return Export(method, size, activation_scales(flatbuffer), proof.parity(contract, flatbuffer))


def table(rows: Mapping[tuple[str, int], list[Export]], reference: Mapping[str, float]) -> str:
    """The figures as Markdown: over the seeds, the median of the changes and all of the rest."""
    head = (
        "method",
        "images",
        "scales: median change",
        "largest change",
        "flips",
        "mean score error",
        "largest score error",
    )
    lines = []
    for (method, size), exports in rows.items():
        moved = scale_changes([e.scales for e in exports], reference)
        flips = ", ".join(str(e.flips) for e in exports)
        lines.append(
            (
                method,
                size,
                f"{np.median(moved):.1%}",
                f"{moved.max():.0%}",
                f"{flips} of {exports[0].parity.n}",
                ", ".join(f"{e.mean_error:.4f}" for e in exports),
                ", ".join(f"{np.abs(e.parity.errors).max():.3f}" for e in exports),
            )
        )
    scales = len(next(iter(rows.values()))[0].scales)
    note = f"{len(reference)} of {scales} scales move; the others are the same in each export."
    return f"{markdown_table(head, lines)}\n\n{note}"


def plot(rows: Mapping[tuple[str, int], list[Export]], reference: Mapping[str, float]) -> bytes:
    """The curve as a PNG: change of scales and score error by the number of images."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    scales, errors = figure.subplots(1, 2)
    for (method, size), exports in rows.items():
        if method == DEFAULT_METHOD:
            moved = scale_changes([e.scales for e in exports], reference)
            medians = np.median(moved, axis=1)
            scales.plot([size] * len(exports), 100 * medians, "o", color="C0")
        mark = "o" if method == DEFAULT_METHOD else "x"
        color = f"C{METHODS.index(method)}"
        label = method if size == METHODS_AT else None
        means = [e.mean_error for e in exports]
        errors.plot([size] * len(exports), means, mark, color=color, label=label)
    scales.set_ylabel("median change of a scale, %")
    errors.set_ylabel("mean score error")
    errors.legend(fontsize="small")
    for axes in (scales, errors):
        axes.set_xlabel("representative images")
        axes.set_xscale("log")
        axes.set_xticks(SIZES, [str(size) for size in SIZES])
        axes.minorticks_off()
        axes.set_ylim(0)
        axes.grid(alpha=0.3)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def measure(model: KerasModel, data: Path) -> tuple[dict[tuple[str, int], list[Export]], Scales]:
    """Every row of the table, and the scales that it compares with."""
    contract = classifier_contract(model.contract)
    train, valid = (read_isic_split(data, s, contract.output.classes) for s in ("train", "valid"))
    images = prepare_all(valid, contract.input, "", Silent()).images
    chunks = keras_outputs(model.network, (p.pixels for p in images))
    proof = Proof(images, np.concatenate(list(chunks)).tolist())
    float32 = convert.float32_tflite(model)
    wanted = [(DEFAULT_METHOD, size) for size in SIZES]
    wanted += [(method, METHODS_AT) for method in METHODS if method != DEFAULT_METHOD]
    rows: dict[tuple[str, int], list[Export]] = {}
    for method, size in wanted:
        done = [export(model, float32, train, proof, method, size, seed) for seed in SEEDS]
        rows[method, size] = done
        errors = [round(e.mean_error, 5) for e in done]
        click.echo(f"{method} {size}: mean errors {errors}", err=True)
    by_method = [e.scales for (m, _), done in rows.items() for e in done if m == DEFAULT_METHOD]
    largest = [e.scales for e in rows[DEFAULT_METHOD, max(SIZES)]]
    reference = median_scales(largest, moving_scales(by_method))
    return rows, reference


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="ISIC layout.")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=Path("samples/lesion.keras"),
    help="A .keras.",
)
@write_option
@click.option("--plots", type=click.Path(path_type=Path), help="Folder for calibration.png.")
def command(data: Path, model: Path, write: Path | None, plots: Path | None) -> None:
    """Print the table for --model on the images of --data."""
    rows, reference = measure(load_keras(model), data)
    text = table(rows, reference)
    click.echo(text)
    if write is not None:
        put(write, __file__, text)
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
        Path(plots, "calibration.png").write_bytes(plot(rows, reference))


if __name__ == "__main__":
    command()
