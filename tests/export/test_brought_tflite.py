"""Other people's ``.tflite`` files in lesionlite's own form, without TensorFlow."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.export.test_brought_keras import PIXELS, SCALINGS, SHAPE, H, W, small
from tests.runtime.drafts import binary_draft, labels_draft, regression_draft

from lesionlite_export.brought_tflite import BroughtTflite, in_own_form, load_brought_tflite
from lesionlite_export.pixel_scaling import scaled
from lesionlite_export.raw_scores import scores_of
from lesionlite_export.source import load_source, outputs_of
from lesionlite_runtime.draft import ImageDraft, RegressionDraft, draft_of_json
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import read_graph

pytestmark = pytest.mark.tensorflow
Raw = NDArray[np.float64]


def converted(network: Any) -> bytes:
    from lesionlite_export.noise import native_noise_logged

    with native_noise_logged():
        import tensorflow as tf

        return bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())


@pytest.fixture(scope="module")
def by_units() -> dict[int, tuple[Any, bytes]]:
    """Networks of 1, 2 and 3 units, and what the converter makes of them: the batch is open."""
    networks = {units: small(units) for units in (1, 2, 3)}
    return {units: (network, converted(network)) for units, network in networks.items()}


def image_draft(body: Any) -> ImageDraft:
    draft = draft_of_json(body, None)
    assert not isinstance(draft, RegressionDraft)
    return draft


def found(path: Path, draft: Any) -> tuple[BroughtTflite, Raw]:
    source = load_source(path, draft)
    assert isinstance(source, BroughtTflite)
    return source, np.concatenate(list(outputs_of(source, list(PIXELS))))


def test_scores_are_those_of_the_network_by_every_draft(
    by_units: dict[int, tuple[Any, bytes]], tmp_path: Path
) -> None:
    """Logits of the network itself, in Keras, on pixels scaled in NumPy."""
    values = ["sigmoid_logits", "softmax_logits"]
    labels = ["benign", "malignant"]
    drafts = [
        binary_draft(output={"values": "sigmoid_logits", "score_of": label}) for label in labels
    ]
    drafts += [
        binary_draft(output={"values": value, "units": 2, "score_of": label})
        for value, label in itertools.product(values, labels)
    ]
    drafts += [labels_draft(output={"values": value}) for value in values]
    for body, scaling in zip(drafts, itertools.cycle(SCALINGS), strict=False):
        draft = image_draft({**body, "input": {**body["input"], **SHAPE, **scaling}})
        network, flatbuffer = by_units[getattr(draft.output, "units", 3)]
        path = tmp_path / "theirs.tflite"
        path.write_bytes(flatbuffer)
        source, scores = found(path, draft)
        raw = np.asarray(network(scaled(PIXELS, draft.input)), np.float64)
        assert scores == pytest.approx(scores_of(raw, draft), abs=1e-5), body
        again = np.concatenate(list(source.raw_outputs(draft.input, list(PIXELS))))
        assert again == pytest.approx(raw, abs=1e-4)
        assert source.contract.provenance.network_sha256 == hashlib.sha256(flatbuffer).hexdigest()
        graph = source.opened.graph
        assert (list(graph.inputs), list(graph.outputs)) == (["image"], ["score"])
        assert graph.tensors[graph.inputs["image"]].dtype == "uint8"


def test_an_open_batch_that_is_computed_with(tmp_path: Path) -> None:
    """Flatten asks for the batch at run time, with operators that the runtime does not take."""
    import keras

    network = keras.Sequential(
        [keras.Input((H, W, 3)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    path = tmp_path / "theirs.tflite"
    path.write_bytes(converted(network))
    assert "SHAPE" in {o.name for o in read_graph(path.read_bytes()).operators}
    body = binary_draft(input={**SHAPE, "range": [0, 1]}, output={"values": "sigmoid_logits"})
    source, scores = found(path, draft_of_json(body, None))
    assert "SHAPE" not in {operator.name for operator in source.opened.graph.operators}
    raw = np.asarray(network(PIXELS.astype(np.float32) / 255)).ravel()
    assert scores == pytest.approx(1 / (1 + np.exp(-raw)), abs=1e-5)


def test_a_signature_is_made_where_there_is_none(
    by_units: dict[int, tuple[Any, bytes]], tmp_path: Path
) -> None:
    from lesionlite_export.model_object import model_bytes, read_model

    network, flatbuffer = by_units[1]
    model = read_model(flatbuffer)
    model.signatureDefs = []
    path = tmp_path / "theirs.tflite"
    path.write_bytes(model_bytes(model))
    body = binary_draft(input=SHAPE, output={"values": "sigmoid_logits"})
    _, scores = found(path, draft_of_json(body, None))
    raw = np.asarray(network(PIXELS.astype(np.float32))).ravel()
    assert scores == pytest.approx(1 / (1 + np.exp(-raw)), abs=1e-5)


def test_pixels_that_enter_as_they_are(tmp_path: Path) -> None:
    network = small(1, dtype="uint8")
    path = tmp_path / "theirs.tflite"
    path.write_bytes(converted(network))
    body = binary_draft(input=SHAPE, output={"values": "sigmoid_logits"})
    source, scores = found(path, draft_of_json(body, None))
    raw = np.asarray(network(PIXELS)).ravel()
    assert scores == pytest.approx(1 / (1 + np.exp(-raw)), abs=1e-5)
    assert not source.takes_any_scaling
    other = binary_draft(input={**SHAPE, "range": [0, 1]}, output={"values": "sigmoid_logits"})
    with pytest.raises(UnusableInput, match="takes uint8 pixels, and by the draft another range"):
        load_brought_tflite(path, draft_of_json(other, None))


def test_a_regression(tmp_path: Path) -> None:
    import keras

    x = keras.Input((1,))
    line = keras.Model(x, keras.layers.Dense(1)(x))
    line.layers[-1].set_weights([np.array([[2.0]]), np.array([-1.0])])
    path = tmp_path / "line.tflite"
    path.write_bytes(converted(line))
    source = load_source(path, draft_of_json(regression_draft(), None))
    assert np.concatenate(list(outputs_of(source, [np.array([3.0])]))).tolist() == [5]


def test_a_quantized_file_gets_its_contract_alone(tmp_path: Path) -> None:
    from lesionlite_export.noise import native_noise_logged

    with native_noise_logged():
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_keras_model(small(1))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        theirs = bytes(converter.convert())
    path = tmp_path / "theirs.tflite"
    path.write_bytes(theirs)
    body = binary_draft(input={**SHAPE, "range": [0, 1]})
    source = load_source(path, draft_of_json(body, None))
    assert not isinstance(source, BroughtTflite)
    assert source.contract.input.range == (0, 1)  # type: ignore[union-attr]
    logits = binary_draft(input=SHAPE, output={"values": "sigmoid_logits"})
    with pytest.raises(UnusableInput, match="it gives sigmoid_logits"):
        load_source(path, draft_of_json(logits, None))


def refused(flatbuffer: bytes, body: Any) -> str:
    with pytest.raises(UnusableInput) as caught:
        in_own_form(flatbuffer, draft_of_json(body, None), "m.tflite")
    assert str(caught.value).startswith("m.tflite: ")
    return str(caught.value)


def test_files_that_are_not_the_drafts_are_refused(by_units: dict[int, tuple[Any, bytes]]) -> None:
    import keras

    _, one = by_units[1]
    free = converted(small(1, shape=(None, None, 3)))
    image = keras.Input((H, W, 3))
    both = converted(keras.Model(image, [small(1)(image), small(1, name="other")(image)]))
    draft = binary_draft(input=SHAPE, output={"values": "sigmoid_logits"})
    cases = [
        (one, binary_draft(input={"shape": [1, 9, 8, 3]}), "it takes float32 [1, 10, 8, 3], and"),
        (one, binary_draft(input=SHAPE, output={"units": 2}), "it gives float32 [1, 1], and by"),
        (
            one,
            regression_draft(),
            "it takes float32 [1, 10, 8, 3], and by the draft float32 [1, 1]",
        ),
        (free, draft, "it takes [1, -1, -1, 3], and -1 is a side of any length; convert it anew"),
        (both, draft, "it has 2 outputs, not one"),
        (one[: len(one) // 2], draft, "this is no TFLite model that lesionlite can use ("),
    ]
    for flatbuffer, body, words in cases:
        assert words in refused(flatbuffer, body)


def test_weights_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    network = small(1)
    kernel, bias = network.get_layer("last").get_weights()
    kernel[0] = np.nan
    network.get_layer("last").set_weights([kernel, bias])
    path = tmp_path / "theirs.tflite"
    path.write_bytes(converted(network))
    body = binary_draft(input=SHAPE, output={"values": "sigmoid_logits"})
    with pytest.raises(UnusableInput, match=r"1 of the 4 weights .* are NaN or infinite"):
        load_brought_tflite(path, draft_of_json(body, None))


def test_tensorflow_is_not_imported(by_units: dict[int, tuple[Any, bytes]], tmp_path: Path) -> None:
    path, draft = tmp_path / "theirs.tflite", tmp_path / "c.json"
    path.write_bytes(by_units[1][1])
    body = binary_draft(input=SHAPE, output={"values": "sigmoid_logits"})
    draft.write_bytes(draft_of_json(body, None).to_bytes())
    code = (
        "import sys; from lesionlite_export.source import load_source;"
        "from lesionlite_runtime.draft import read_draft;"
        f"load_source({str(path)!r}, read_draft({str(draft)!r}));"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
