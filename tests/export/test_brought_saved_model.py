"""Other people's SavedModels: what is called of them, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.export.test_brought_keras import PIXELS, SHAPE, H, W, small
from tests.runtime.drafts import binary_draft, labels_draft, regression_draft

from lesionlite_export.brought_keras import BroughtKeras
from lesionlite_export.saved_model import saved_model_sha256
from lesionlite_export.source import load_source, outputs_of
from lesionlite_runtime.draft import draft_of_json
from lesionlite_runtime.errors import UnusableInput

pytestmark = pytest.mark.tensorflow
ONE = binary_draft(input=SHAPE, output={"values": "sigmoid_logits"})


def module(function: Any, *specs: Any, variables: Any = ()) -> Any:
    import tensorflow as tf

    made = tf.Module()
    made.kept = list(variables)
    made.__call__ = tf.function(function, input_signature=list(specs))
    return made


def images(*shape: int | None, dtype: str = "float32") -> Any:
    import tensorflow as tf

    return tf.TensorSpec(shape or (None, H, W, 3), dtype)


def test_what_keras_exports_and_what_tensorflow_saves_score_alike(tmp_path: Path) -> None:
    import tensorflow as tf

    core = small(1)
    exported, called, signed = (tmp_path / name for name in ("exported", "called", "signed"))
    core.export(str(exported), verbose=False)
    run = module(core, images(), variables=core.variables)
    tf.saved_model.save(run, str(called))
    alone = tf.Module()
    alone.kept = run
    signature = tf.function(lambda photo: {"risk": core(photo)}, input_signature=[images()])
    tf.saved_model.save(alone, str(signed), signatures={"serving_default": signature})
    raw = np.asarray(core(PIXELS.astype(np.float32))).ravel()
    for folder in (exported, called, signed):
        source = load_source(folder, draft_of_json(ONE, None))
        found = np.concatenate(list(outputs_of(source, list(PIXELS))))
        assert found == pytest.approx(1 / (1 + np.exp(-raw)), abs=1e-5), folder
        assert source.contract.provenance.network_sha256 == saved_model_sha256(folder)
        assert isinstance(source, BroughtKeras)
        assert {v.path.partition("/")[0] for v in source.core.weights} == {"saved_model"}


def test_sides_that_are_open_and_a_batch_that_is_not(tmp_path: Path) -> None:
    import tensorflow as tf

    def run(x: Any) -> Any:
        return tf.reduce_mean(tf.cast(x, tf.float32), [1, 2])[:, :1] / 255

    for name, spec in (
        ("open", images(None, None, None, 3)),
        ("fixed", images(1, H, W, 3)),
        ("pixels", images(None, H, W, 3, dtype="uint8")),
    ):
        tf.saved_model.save(module(run, spec), str(tmp_path / name))
        body = {**ONE, "output": {**ONE["output"], "values": "sigmoid"}}
        source = load_source(tmp_path / name, draft_of_json(body, None))
        found = np.concatenate(list(outputs_of(source, list(PIXELS))))
        assert found == pytest.approx(PIXELS[..., 0].mean((1, 2)) / 255, abs=1e-6)
        assert isinstance(source, BroughtKeras)
        assert source.batch == (1 if name == "fixed" else None)
        assert source.takes_any_scaling == (name != "pixels")


def test_several_labels_and_a_regression(tmp_path: Path) -> None:
    import tensorflow as tf

    def three(x: Any) -> Any:
        return tf.nn.softmax(tf.reduce_mean(x, [1, 2]))

    tf.saved_model.save(module(three, images()), str(tmp_path / "labels"))
    tf.saved_model.save(module(lambda x: 2.0 * x - 1.0, images(None, 1)), str(tmp_path / "line"))
    source = load_source(tmp_path / "labels", draft_of_json(labels_draft(input=SHAPE), None))
    found = np.concatenate(list(outputs_of(source, list(PIXELS))))
    assert found.shape == (5, 3)
    assert found.sum(1) == pytest.approx(np.ones(5), abs=1e-6)
    line = load_source(tmp_path / "line", draft_of_json(regression_draft(), None))
    assert np.concatenate(list(outputs_of(line, [np.array([3.0], np.float32)]))).tolist() == [5]


def refused(folder: Path, body: Any = ONE) -> str:
    with pytest.raises(UnusableInput) as caught:
        load_source(folder, draft_of_json(body, None))
    assert str(caught.value).startswith(str(folder))
    return str(caught.value)


def test_what_is_no_network_of_one_image_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    def mean(x: Any) -> Any:
        return tf.reduce_mean(x, [1, 2])[:, :1]

    def two_outputs(x: Any) -> Any:
        return {"a": mean(x), "b": mean(x)}

    def reads(x: Any) -> Any:
        return mean(x) + tf.cast(tf.strings.length(tf.io.read_file("/etc/passwd")), tf.float32)

    cases = {
        "returns 2 outputs, not one": module(two_outputs, images()),
        "takes 2 inputs, not one": module(lambda x, y: mean(x) + y, images(), images(None, 1)),
        "the network takes int32": module(
            lambda x: mean(tf.cast(x, tf.float32)), images(None, H, W, 3, dtype="int32")
        ),
        "[None, 9, 8, 3], and by the draft": module(mean, images(None, 9, 8, 3)),
        "the network gives [None, 3]": module(lambda x: tf.reduce_mean(x, [1, 2]), images()),
        "operators that no image network needs (ReadFile, StringLength)": module(reads, images()),
    }
    for number, (words, made) in enumerate(cases.items()):
        folder = tmp_path / str(number)
        tf.saved_model.save(made, str(folder))
        assert words in refused(folder), words
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "this folder holds no SavedModel" in refused(empty)
