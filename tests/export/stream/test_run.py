"""Images through a stream: their scores, and refusals that come as early as they can."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.keras_model import KerasModel, keras_outputs
from lesionlite_export.manifest import read_isic_split
from lesionlite_export.parity import ScoreParity
from lesionlite_export.publish import Exported
from lesionlite_export.representative import PreparedImage, prepare
from lesionlite_export.stream.options import StreamOptions
from lesionlite_export.stream.run import CHUNK
from lesionlite_export.verification import verify_model
from lesionlite_export.verification_result import Verification
from lesionlite_runtime import Classifier
from lesionlite_runtime.contract import image_contract
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
