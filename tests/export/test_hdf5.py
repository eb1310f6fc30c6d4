"""HDF5 models: the door, Keras 3, and Keras 2 in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.export.brought import draft_of
from tests.export.test_brought_keras import PIXELS, SHAPE, small
from tests.hub_form import write_hub_form
from tests.runtime.drafts import binary_draft

from lesionlite_export import hdf5_model
from lesionlite_export.hdf5_door import ALLOWED_CLASSES, checked_config, class_names
from lesionlite_export.source import load_source, outputs_of
from lesionlite_runtime.draft import draft_of_json
from lesionlite_runtime.errors import MissingHere, UnusableInput

pytestmark = pytest.mark.tensorflow
LOGIT = binary_draft(input=SHAPE, output={"values": "sigmoid_logits"})
needs_hub = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in hdf5_model.NEEDED),
    reason="the extra hub is not installed",
)
HUB_SIDE = 24


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes an HDF5 file with an architecture, and what else ``more`` puts into it."""
    import h5py

    def to_file(config: Any, more: Callable[[Any], None] | None = None) -> Path:
        path = tmp_path / "made.h5"
        with h5py.File(path, "w") as archive:
            if config is not None:
                archive.attrs["model_config"] = config if config == "{" else json.dumps(config)
            if more is not None:
                more(archive)
        return path

    return to_file


def sequential(*layers: Any) -> Any:
    return {"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}}


def layer(kind: str, **config: Any) -> Any:
    return {"class_name": kind, "config": {"name": "l", **config}}


def refused(path: Path) -> str:
    with pytest.raises(UnusableInput) as caught:
        checked_config(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_keras_3_reads_its_own_and_scores_alike(tmp_path: Path) -> None:
    import hashlib

    core = small(1)
    path = tmp_path / "theirs.h5"
    core.save(path)
    source = load_source(path, draft_of_json(LOGIT, None))
    raw = np.asarray(core(PIXELS.astype(np.float32))).ravel()
    found = np.concatenate(list(outputs_of(source, list(PIXELS))))
    assert found == pytest.approx(1 / (1 + np.exp(-raw)), abs=1e-5)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.contract.provenance.network_sha256 == digest


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (sequential(layer("Lambda", function=["code"])), "its maker's, or layers that no image"),
        (sequential(layer("Mine")), "(Mine); save it without, or pass --allow-code"),
        (sequential(layer("TFSMLayer", filepath="/x")), "(TFSMLayer)"),
        (
            sequential(layer("TFOpLambda", function="keras.utils.get_file")),
            "(TFOpLambda of keras.utils.get_file)",
        ),
        (
            sequential(layer("TFOpLambda", function="io.write_file")),
            "(TFOpLambda of io.write_file)",
        ),
        (
            sequential(layer("Dense", activation={"class_name": "function", "config": "system"})),
            "(the function system)",
        ),
        (
            sequential({**layer("Dense"), "module": "os", "registered_name": "Dense"}),
            "(the module os)",
        ),
        (
            sequential(layer("TimeDistributed", layer=layer("Lambda"))),
            "(Lambda, TimeDistributed)",
        ),
    ],
)
def test_classes_that_are_not_on_the_list_are_refused_by_name(
    write: Callable[..., Path], config: Any, words: str
) -> None:
    path = write(config)
    assert words in refused(path)
    assert checked_config(path, allow_code=True) == config


def test_the_classes_of_an_architecture() -> None:
    config = sequential(layer("Dense", kernel_initializer={"class_name": "Zeros", "config": {}}))
    assert sorted(class_names(config)) == ["Dense", "Sequential", "Zeros"]
    assert "Lambda" not in ALLOWED_CLASSES


def test_links_and_data_elsewhere_are_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    import h5py

    def external(archive: Any) -> None:
        archive["weights"] = h5py.ExternalLink("/etc/passwd", "/")

    def soft(archive: Any) -> None:
        archive["weights"] = h5py.SoftLink("/x")

    def outside(archive: Any) -> None:
        archive.create_dataset("w", (4,), "u1", external=[("/etc/passwd", 0, 4)])

    def virtual(archive: Any) -> None:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "w", (4,))
        archive.create_group("g").create_virtual_dataset("w", layout)

    for more in (external, soft, outside, virtual):
        assert "in this file leads to data elsewhere" in refused(write(sequential(), more))

    def bomb(archive: Any) -> None:
        archive.create_dataset("w", data=np.zeros(1 << 20), compression="gzip")

    assert "are compressed, or overlap" in refused(write(sequential(), bomb))


def test_what_is_no_model_is_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    assert "weights without their network" in refused(write(None))
    path = write(sequential())
    path.write_bytes(path.read_bytes()[:300])
    assert "this is no HDF5 file, or a damaged one" in refused(path)
    path.write_bytes(b"no hdf5")
    assert "this is no HDF5 file, or a damaged one" in refused(path)
    assert "this is no valid JSON" in refused(write("{"))


def test_lambda_code_in_an_hdf5_file_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    witness = tmp_path / "was_run"
    monkeypatch.setenv("WITNESS", str(witness))
    image = keras.Input((10, 8, 3))
    x = keras.layers.Lambda(
        lambda t: __import__("pathlib").Path(__import__("os").environ["WITNESS"]).touch() or t
    )(image)
    path = tmp_path / "theirs.h5"
    keras.Model(image, small(1)(x)).save(path)
    witness.unlink()  # building the network ran it
    with pytest.raises(UnusableInput, match=r"code of its maker's, .*\(Lambda, __lambda__\)"):
        load_source(path, draft_of_json(LOGIT, None))
    assert not witness.exists()
    load_source(path, draft_of_json(LOGIT, None), allow_code=True)
    assert witness.exists()


def test_without_the_extra_it_is_named(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec

    def find(name: str, *others: Any) -> Any:
        return None if name in hdf5_model.NEEDED else found(name, *others)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    path = write(sequential(layer("KerasLayer", handle="https://tfhub.dev/x")))
    with pytest.raises(MissingHere) as caught:
        load_source(path, draft_of())
    assert "needs tf_keras and tensorflow_hub; run pip install 'lesionlite[hub]'" in str(
        caught.value
    )
    path = write(sequential(layer("Dense", units="many")))
    with pytest.raises(UnusableInput, match=r"Keras cannot load this model .*lesionlite\[hub\]"):
        load_source(path, draft_of())


# What follows writes files with Keras 2, which must not share a process with Keras 3.
WRITER = """
import json, os, sys
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import numpy as np, tf_keras, tensorflow_hub as hub
folder, module, side = sys.argv[1], sys.argv[2], int(sys.argv[3])
tf_keras.utils.set_random_seed(1)
x = np.random.default_rng(0).random((6, side, side, 3)).astype("float32")
network = tf_keras.Sequential([
    hub.KerasLayer(module, output_shape=[24], trainable=False),
    tf_keras.layers.Dense(1, activation="sigmoid"),
])
network.build([None, side, side, 3])
network.compile(loss="binary_crossentropy", optimizer="rmsprop")
network.fit(x, np.array([0, 1] * 3), epochs=2, verbose=0)
network.save(folder + "/tutorial.h5")
image = tf_keras.Input((side, side, 3))
y = tf_keras.layers.Conv2D(4, 3)(image)
y = y * tf_keras.layers.ReLU(6.0)(y + 3.0) * (1.0 / 6.0)
y = tf_keras.layers.GlobalAveragePooling2D()(y)
plain = tf_keras.Model(image, tf_keras.layers.Dense(2, activation="softmax")(y))
plain.save(folder + "/plain.h5")
pixels = np.load(folder + "/pixels.npy").astype("float32") / 255
np.savez(folder + "/scores.npz", tutorial=network.predict(pixels), plain=plain.predict(pixels))
"""


@pytest.fixture(scope="module")
def keras_2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of Keras 2, pixels, and its scores of them."""
    import subprocess

    folder = tmp_path_factory.mktemp("keras_2")
    write_hub_form(folder / "module", side=HUB_SIDE)
    pixels = np.random.default_rng(2).integers(0, 256, (4, HUB_SIDE, HUB_SIDE, 3), dtype=np.uint8)
    np.save(folder / "pixels.npy", pixels)
    arguments = [str(folder), str(folder / "module"), str(HUB_SIDE)]
    subprocess.run(
        [sys.executable, "-c", WRITER, *arguments], check=True, capture_output=True, text=True
    )
    return folder


@needs_hub
@pytest.mark.parametrize(("name", "units"), [("tutorial", 1), ("plain", 2)])
def test_files_of_keras_2_score_as_there(keras_2: Path, name: str, units: int) -> None:
    values = "sigmoid" if units == 1 else "softmax"
    source = load_source(keras_2 / f"{name}.h5", draft_of(HUB_SIDE, values=values, units=units))
    found = np.concatenate(list(outputs_of(source, list(np.load(keras_2 / "pixels.npy")))))
    assert found == pytest.approx(np.load(keras_2 / "scores.npz")[name][:, -1], abs=1e-6)
    assert "tf_keras" not in sys.modules
    assert "tensorflow_hub" not in sys.modules


@needs_hub
def test_a_module_that_is_missing_or_does_more_is_refused(keras_2: Path, tmp_path: Path) -> None:
    import h5py

    def with_handle(handle: str) -> Path:
        path = tmp_path / "other.h5"
        path.write_bytes((keras_2 / "tutorial.h5").read_bytes())
        with h5py.File(path, "r+") as archive:
            config = json.loads(archive.attrs["model_config"])
            for part in config["config"]["layers"]:
                if part["class_name"] == "KerasLayer":
                    part["config"]["handle"] = handle
            archive.attrs["model_config"] = json.dumps(config)
        return path

    import tensorflow as tf

    evil = write_hub_form(
        tmp_path / "evil",
        side=HUB_SIDE,
        also_in_call=lambda _x: tf.cast(tf.strings.length(tf.io.read_file("/x")), tf.float32),
    )
    for handle, kind, words in (
        (str(tmp_path / "gone"), UnusableInput, "which is not here; unpack the module there"),
        (str(evil), UnusableInput, "operators that no image network needs"),
        ("https://tfhub.invalid/m/1", MissingHere, "not in TensorFlow Hub's cache"),
    ):
        with pytest.raises(kind, match=words):
            load_source(with_handle(handle), draft_of(HUB_SIDE))
