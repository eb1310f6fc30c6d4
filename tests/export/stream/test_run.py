"""Images through a stream: their scores, and refusals that come as early as they can."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.keras_model import KerasModel, keras_outputs
from lesionlite_export.manifest import read_isic_split
from lesionlite_export.parity import ScoreParity
from lesionlite_export.progress import Silent
from lesionlite_export.publish import Exported
from lesionlite_export.reference import Outcome
from lesionlite_export.representative import PreparedImage, prepare
from lesionlite_export.stream.look import LookedAt, Plan
from lesionlite_export.stream.options import StreamOptions
from lesionlite_export.stream.run import CHUNK, stream_images
from lesionlite_export.verification import verify_model
from lesionlite_export.verification_result import Verification
from lesionlite_runtime import Classifier
from lesionlite_runtime.contract import image_contract
from lesionlite_runtime.door import open_model
from lesionlite_runtime.errors import UsageError


@pytest.mark.tensorflow
def test_streamed_scores_are_those_of_each_chunk_scored_directly(
    plain: Verification, tiny_model: KerasModel, tiny_exported: Exported, many: Path
) -> None:
    listed = read_isic_split(many, "valid").images
    classifier = Classifier(tiny_exported.path)
    files: list[str] = []
    keras: list[float] = []
    tflite: list[float] = []
    for start in range(0, len(listed), CHUNK):
        items = prepare(listed[start : start + CHUNK], image_contract(tiny_model.contract).input)
        ready = [item for item in items if isinstance(item, PreparedImage)]
        files += [str(item.image.path) for item in ready]
        for chunk in keras_outputs(tiny_model.network, (item.pixels for item in ready)):
            keras += chunk.tolist()
        tflite += [classifier.score(item.pixels[np.newaxis]) for item in ready]
    assert isinstance(plain.parity, ScoreParity)
    assert len(files) == 150
    assert list(plain.parity.files) == files
    assert plain.parity.score_keras.tolist() == keras
    assert plain.parity.score_tflite.tolist() == tflite
    assert [item.image.path.name for item in plain.unusable] == ["broken.jpg"]


@pytest.mark.tensorflow
def test_seen_images_end_the_run_at_their_chunk(
    tiny_model: KerasModel, tiny_exported: Exported, many: Path, tmp_path: Path
) -> None:
    """With the third chunk: before it nothing is known, and the last is not read any more."""
    contract = image_contract(tiny_model.contract)
    images = read_isic_split(many, "valid").images
    items = list(prepare(images[2 * CHUNK : 2 * CHUNK + 3], contract.input))
    digests = [item.sha256 for item in items if isinstance(item, PreparedImage)]
    listed = tmp_path / "trained.csv"
    listed.write_text("pixels_sha256\n" + "".join(f"{digest}\n" for digest in digests))
    words = f"3 of the first 96 of 151 images are among .* training \\({images[64].path.name} the"
    for workers in (1, 2):
        with pytest.raises(UsageError, match=words):
            verify_model(
                tiny_model,
                tiny_exported.path,
                many,
                training=listed,
                stream=StreamOptions(workers),
            )
    assert multiprocessing.active_children() == []
    allowed = verify_model(
        tiny_model, tiny_exported.path, many, training=listed, allow_training_images=True
    )
    assert allowed.to_json()["seen_images"]["training"]["count"] == 3


@pytest.mark.tensorflow
def test_a_set_that_is_known_as_a_whole_is_refused_at_the_end(
    tiny_model: KerasModel, tiny_exported: Exported, many: Path
) -> None:
    whole = verify_model(tiny_model, tiny_exported.path, many).to_json()["images_sha256"]
    provenance = replace(tiny_model.contract.provenance, training={"images_sha256": whole})
    model = replace(tiny_model, contract=replace(tiny_model.contract, provenance=provenance))
    with pytest.raises(UsageError, match="150 of the 150 images are among those of the model's tr"):
        verify_model(model, tiny_exported.path, many)


def test_what_a_network_is_given_at_once_depends_on_the_manifest_alone(
    shipped_model: Path, many: Path, tmp_path: Path
) -> None:
    """Not on the workers, nor on where an earlier run ended."""
    manifest = read_isic_split(many, "valid")
    opened = open_model(shipped_model)
    plan = Plan(image_contract(opened.contract).input, (), keep_pixels=True)
    broken = next(i for i, image in enumerate(manifest.images) if image.path.name == "broken.jpg")

    class Ended(Exception):
        pass

    def chunks(options: StreamOptions, most: int = 9) -> list[list[str]]:
        given: list[list[str]] = []

        def finish(images: Sequence[LookedAt]) -> Sequence[Outcome]:
            if len(given) == most:
                raise Ended
            given.append([image.image.path.name for image in images])
            assert all(image.pixels.shape == (224, 224, 3) for image in images)
            return [np.zeros(1) for _ in images]

        stream_images(
            manifest, plan, finish, lambda _: None, options, lambda: {"a": "b"}, Silent(), ""
        )
        return given

    names = [image.path.name for image in manifest.images]
    wanted = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
    wanted[broken // CHUNK].remove("broken.jpg")
    assert chunks(StreamOptions(1)) == chunks(StreamOptions(2)) == wanted
    stream = StreamOptions(2, tmp_path / "a.sqlite")
    with pytest.raises(Ended):
        chunks(stream, most=2)
    assert chunks(stream) == wanted[2:]
