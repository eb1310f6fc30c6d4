"""Layers whose names the converter does not take: renamed in a copy, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.export.test_brought_keras import PIXELS, SHAPE, H, W, small
from tests.runtime.drafts import binary_draft

from lesionlite_export.convert import float32_tflite
from lesionlite_export.keras_model import KerasModel, network_sha256
from lesionlite_export.layer_names import all_layers, with_plain_names
from lesionlite_export.source import load_source, outputs_of
from lesionlite_runtime.draft import draft_of_json
from lesionlite_runtime.errors import UnusableInput

pytestmark = pytest.mark.tensorflow
BODY = binary_draft(input=SHAPE, output={"values": "sigmoid_logits"})


def named(*names: str) -> Any:
    """A network in a network; ``names`` are of its input, a layer and itself."""
    import keras

    keras.utils.set_random_seed(1)
    image = keras.Input((H, W, 3), name=names[0])
    x = keras.layers.Conv2D(4, 3, name=names[1])(image)
    inner = keras.Model(image, keras.layers.BatchNormalization(name="layer_stem")(x), name=names[2])
    outer = keras.Input((H, W, 3), name=f"{names[0]}2")
    x = keras.layers.GlobalAveragePooling2D(name=f"{names[1]}2")(inner(outer))
    return keras.Model(outer, keras.layers.Dense(1, name="ünit")(x), name=f"{names[2]}2")


@pytest.mark.parametrize("names", [("_in", "_stem", "_net"), ("an image", "conv:1", "große")])
def test_a_brought_network_is_converted_under_other_names(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    core = named(*names)
    path = tmp_path / "theirs.keras"
    core.save(path)
    source = load_source(path, draft_of_json(BODY, None))
    raw = np.asarray(core(PIXELS.astype(np.float32))).ravel()
    found = np.concatenate(list(outputs_of(source, list(PIXELS))))
    assert found == pytest.approx(1 / (1 + np.exp(-raw)), abs=1e-5)
    assert isinstance(source, KerasModel)
    assert float32_tflite(source)[4:8] == b"TFL3"
    assert source.contract.provenance.network_sha256 == network_sha256(core)


def test_names_that_the_converter_takes_stay() -> None:
    core = small(1)
    assert with_plain_names(core) is core
    names = [layer.name for layer in all_layers(with_plain_names(named("_i", "_stem", "_n")))]
    assert "layer_stem_2" in names  # layer_stem is another's
    assert len(set(names)) == len(names)


def test_a_layer_that_cannot_be_renamed_is_named(
    tiny_model: KerasModel, network_maker: Any
) -> None:
    import keras

    def body(x: Any) -> Any:
        return keras.layers.Conv2D(4, 3, name="_stem")(x)

    model = KerasModel("m.keras", network_maker(body=body), tiny_model.contract)
    with pytest.raises(UnusableInput) as caught:
        float32_tflite(model)
    assert str(caught.value) == (
        "m.keras: TensorFlow's converter does not take the name '_stem' of a layer; give it one of "
        "letters, digits, dots and dashes"
    )
