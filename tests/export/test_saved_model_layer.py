"""SavedModels as Keras layers: what they compute, what training changes, and what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_export.keras_model import load_keras, load_network, network_sha256, save_keras
from lesionlite_export.saved_model import (
    ALLOWED_OPERATORS,
    GRAPH_FILE,
    check_graph,
    saved_model_sha256,
)
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.errors import LesionliteError, UnusableInput, UsageError

from ..hub_form import NAMES, WEIGHT_DECAY, write_hub_form  # noqa: TID252 (no package to name)

pytestmark = pytest.mark.tensorflow
SIDE, FEATURES = 48, 24
STATISTICS = ["stem.bn.moving_mean", "stem.bn.moving_variance"]
ROOT = Path(__file__).parents[2]
ContractMaker = Callable[..., ClassifierContract]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel in the Hub's form."""
    return write_hub_form(tmp_path_factory.mktemp("hub") / "feature_vector")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Float32 [12, 48, 48, 3] in [0, 1]."""
    return np.random.default_rng(5).random((12, SIDE, SIDE, 3), np.float32)


def layer_of(folder: Path, size: int | None = None) -> Any:
    from lesionlite_export.saved_model_layer import SavedModelLayer

    return SavedModelLayer.from_folder(folder, size)


def classifier_of(layer: Any, dtype: str = "float32") -> Any:
    """``layer`` with a head; with its own scaling for ``uint8``."""
    import keras

    keras.utils.set_random_seed(3)
    image = keras.Input((layer.size, layer.size, 3), dtype=dtype, name="image")
    x = keras.layers.Rescaling(1 / 255, name="scaling")(image) if dtype == "uint8" else image
    score = keras.layers.Dense(1, activation="sigmoid", name="score")
    return keras.Model(image, score(layer(x)), name="lesion")


def values_of(layer: Any) -> dict[str, np.ndarray]:
    return {v.path.rpartition("/")[2]: v.numpy().copy() for v in layer.variables}


def kept(before: dict[str, np.ndarray], layer: Any) -> list[str]:
    """The names of the variables whose values are those of ``before``."""
    after = values_of(layer)
    return sorted(name for name in before if np.array_equal(before[name], after[name]))


def train(model: Any, images: np.ndarray, **settings: Any) -> None:
    import keras

    labels = (np.arange(len(images)) % 2).astype(np.float32)
    model.compile(keras.optimizers.AdamW(0.01, **settings), "binary_crossentropy")
    model.fit(images, labels, batch_size=4, epochs=2, verbose=0)


def test_features_are_those_of_the_saved_model(folder: Path, images: np.ndarray) -> None:
    import tensorflow as tf

    layer = layer_of(folder)
    assert (layer.size, layer.feature_size, layer.input_type) == (SIDE, FEATURES, "float32")
    assert layer.fixed_size
    assert layer.can_train
    wanted = tf.saved_model.load(str(folder))(images, training=False).numpy()
    assert np.ptp(wanted) > 1
    for training in (None, False):
        assert np.array_equal(layer(images, training=training).numpy(), wanted)


def test_variables_have_unique_names_that_every_load_repeats(folder: Path) -> None:
    first, second = layer_of(folder), layer_of(folder)
    paths = [v.path for v in first.variables]
    assert sorted(paths) == sorted(f"saved_model/{name}" for name in NAMES)
    assert [v.path for v in second.variables] == paths
    assert network_sha256(classifier_of(first)) == network_sha256(classifier_of(second))


def test_variables_of_one_name_are_told_apart(tmp_path: Path) -> None:
    import tensorflow as tf

    module = tf.train.Checkpoint()
    names = ("k", "k", "bn0/>_weird\\name", "..")
    module.variables = [
        tf.Variable(np.full((), i, np.float32), name=n) for i, n in enumerate(names)
    ]
    module.__call__ = tf.function(
        lambda x: tf.reduce_mean(x, [1, 2]) + tf.add_n(list(module.variables)),
        input_signature=[tf.TensorSpec((None, 32, 32, 3))],
    )
    tf.saved_model.save(module, str(tmp_path / "m"))
    values = values_of(layer_of(tmp_path / "m"))
    assert sorted(float(v) for v in values.values()) == [0, 1, 2, 3]
    assert {"k", "k_1"} < set(values)
    assert all(name[0].isalnum() and "/" not in name and name.isascii() for name in values)


def test_the_digest_sees_the_graph_and_each_weight(folder: Path, tmp_path: Path) -> None:
    layer = layer_of(folder)
    model = classifier_of(layer)
    digest = network_sha256(model)
    for variable in layer.variables:
        value = variable.numpy().copy()
        variable.assign(value + 0.5)
        assert network_sha256(model) != digest, variable.path
        variable.assign(value)
    assert network_sha256(model) == digest
    other = layer_of(write_hub_form(tmp_path / "other", stride=4))
    assert all(np.array_equal(values_of(other)[n], v) for n, v in values_of(layer).items())
    assert network_sha256(classifier_of(other)) != digest


def test_frozen_it_stays_as_it_is_while_the_head_learns(folder: Path, images: np.ndarray) -> None:
    layer = layer_of(folder)
    layer.trainable = False
    model = classifier_of(layer)
    assert [v.path for v in model.trainable_variables] == ["score/kernel", "score/bias"]
    before, head = values_of(layer), model.get_layer("score").get_weights()[0]
    train(model, images)
    assert all(np.array_equal(before[name], value) for name, value in values_of(layer).items())
    assert not np.allclose(model.get_layer("score").get_weights()[0], head)
    assert model.losses == []


def test_fine_tuned_it_learns_and_batch_norm_statistics_move(
    folder: Path, images: np.ndarray
) -> None:
    layer = layer_of(folder)
    model = classifier_of(layer)
    assert len(model.trainable_variables) == 4 + 2
    before = values_of(layer)
    train(model, images, use_ema=True, ema_momentum=0.9)
    after = values_of(layer)
    assert [name for name in before if np.allclose(before[name], after[name])] == []
    layer.trainable = False
    train(model, images)
    assert all(np.array_equal(after[name], value) for name, value in values_of(layer).items())


def test_a_training_step_is_the_saved_models_own(folder: Path, images: np.ndarray) -> None:
    import tensorflow as tf

    module, layer = tf.saved_model.load(str(folder)), layer_of(folder)
    wanted = module(images, training=True).numpy()
    assert not np.allclose(wanted, module(images, training=False).numpy(), atol=0.01)
    assert layer(images, training=True).numpy() == pytest.approx(wanted, abs=1e-6)
    moved = {v.name.partition(":")[0].replace("/", "."): v.numpy() for v in module.variables}
    for name, value in values_of(layer).items():
        assert value == pytest.approx(moved[name], abs=1e-6), name
    kernel = moved["stem.kernel"]
    assert float(sum(layer.losses)) == pytest.approx(WEIGHT_DECAY * (kernel**2).sum() / 2)


def test_statistics_can_be_kept_in_training(folder: Path, images: np.ndarray) -> None:
    layer = layer_of(folder)
    layer.keep_statistics = True
    model = classifier_of(layer)
    before = values_of(layer)
    train(model, images)
    assert kept(before, layer) == STATISTICS


def test_a_fine_tuned_file_comes_back_in_another_process_without_the_folder(
    folder: Path,
    images: np.ndarray,
    classifier_contract_maker: ContractMaker,
    tmp_path: Path,
) -> None:
    copy = tmp_path / "to be deleted"
    shutil.copytree(folder, copy)
    model = classifier_of(layer_of(copy), "uint8")
    pixels = (images * 255).astype(np.uint8)
    train(model, pixels, use_ema=True, ema_momentum=0.5)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    path = tmp_path / "m.keras"
    written = save_keras(model, classifier_contract_maker(side=SIDE), path)
    wanted = model.predict_on_batch(pixels)
    assert np.ptp(wanted) > 0.001
    shutil.rmtree(copy)
    np.save(tmp_path / "pixels.npy", pixels)
    script = textwrap.dedent(
        """
        import sys
        import numpy as np
        from lesionlite_export.keras_model import load_keras
        model = load_keras(sys.argv[1])
        np.save(sys.argv[3], model.network.predict_on_batch(np.load(sys.argv[2])))
        print(model.contract.provenance.network_sha256)
        """
    )
    files = [str(path), str(tmp_path / "pixels.npy"), str(tmp_path / "scores.npy")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script, *files],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == written.provenance.network_sha256 == network_sha256(model)
    assert np.load(tmp_path / "scores.npy") == pytest.approx(wanted, abs=1e-6)

    again = tmp_path / "again.keras"
    loaded = load_keras(path)
    save_keras(loaded.network, loaded.contract, again)
    assert load_keras(again).contract == loaded.contract
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            assert str(tmp_path).encode() not in archive.read(name), name


def test_a_clone_and_a_file_of_weights_hold_the_whole_network(
    folder: Path, images: np.ndarray, tmp_path: Path
) -> None:
    import keras

    model = classifier_of(layer_of(folder))
    train(model, images)
    wanted = model.predict_on_batch(images)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert np.array_equal(clone.predict_on_batch(images), wanted)
    model.save_weights(tmp_path / "m.weights.h5")
    other = classifier_of(layer_of(folder))
    other.load_weights(tmp_path / "m.weights.h5")
    assert np.array_equal(other.predict_on_batch(images), wanted)


def test_a_graph_for_any_size_needs_one(tmp_path: Path, images: np.ndarray) -> None:
    flexible = write_hub_form(tmp_path / "any", side=None)
    with pytest.raises(UsageError, match="takes images of any size; say which side"):
        layer_of(flexible)
    layer = layer_of(flexible, 40)
    assert (layer.size, layer.feature_size, layer.fixed_size) == (40, FEATURES, False)
    assert layer(images[:, :40, :40]).shape == (12, FEATURES)


def test_another_size_than_the_graphs_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="takes images of 48 pixels, not 64"):
        layer_of(folder, 64)


def test_a_graph_without_training_works_frozen(tmp_path: Path, images: np.ndarray) -> None:
    layer = layer_of(write_hub_form(tmp_path / "m", has_training=False))
    assert not layer.can_train
    assert not layer.trainable
    model = classifier_of(layer)
    before = values_of(layer)
    train(model, images)
    assert all(np.array_equal(before[name], value) for name, value in values_of(layer).items())
    layer.trainable = True
    train(model, images)
    assert kept(before, layer) == STATISTICS


def test_what_keras_exports_works_frozen(tmp_path: Path, images: np.ndarray) -> None:
    import keras

    image = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(5, 3, strides=4)(image))
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
    model.set_weights([w + 0.1 for w in model.get_weights()])
    model.export(tmp_path / "m", verbose=False)
    layer = layer_of(tmp_path / "m")
    assert (layer.size, layer.feature_size, layer.can_train) == (SIDE, 5, False)
    assert layer(images).numpy() == pytest.approx(model.predict_on_batch(images), abs=1e-5)
    assert len({v.path for v in layer.variables}) == len(model.variables)


def test_other_files_beside_the_graph_are_not_loaded(
    folder: Path, images: np.ndarray, tmp_path: Path
) -> None:
    """TensorFlow loads what it finds: here, debugging information."""
    import tensorflow as tf

    copy = tmp_path / "m"
    shutil.copytree(folder, copy)
    (copy / "debug").mkdir()
    (copy / "debug" / "saved_model_debug_info.pb").write_bytes(b"damaged")
    with pytest.raises(OSError, match="saved_model_debug_info"):
        tf.saved_model.load(str(copy))
    assert np.array_equal(layer_of(copy)(images), layer_of(folder)(images))


# What is refused.


def refused(folder: Path) -> str:
    with pytest.raises(LesionliteError) as caught:
        layer_of(folder)
    sentence = str(caught.value)
    assert sentence.startswith((f"{folder}: ", f"{folder / GRAPH_FILE}: "))
    assert "\n" not in sentence
    return sentence


def _python(witness: Path) -> Any:
    import tensorflow as tf

    def run(images: Any) -> Any:
        def touch(x: Any) -> Any:
            witness.touch()
            return x

        return tf.reduce_mean(tf.py_function(touch, [images], tf.float32))

    return run


def _numpy_function(witness: Path) -> Any:
    import tensorflow as tf

    return lambda x: tf.reduce_mean(
        tf.numpy_function(lambda v: (witness.touch(), v)[1], [x], tf.float32)
    )


def _write_file(witness: Path) -> Any:
    import tensorflow as tf

    def run(images: Any) -> Any:
        with tf.control_dependencies([tf.io.write_file(str(witness), "x")]):
            return tf.reduce_mean(images)

    return run


def _save(witness: Path) -> Any:
    """The operators of TensorFlow's own saving function, where a call reaches them."""
    import tensorflow as tf

    def run(images: Any) -> Any:
        saved = tf.raw_ops.SaveV2(
            prefix=str(witness), tensor_names=["x"], shape_and_slices=[""], tensors=[images]
        )
        with tf.control_dependencies([saved]):
            return tf.reduce_mean(images)

    return run


def _save_in_a_function(witness: Path) -> Any:
    import tensorflow as tf

    return tf.function(_save(witness))


def _read_file(_witness: Path) -> Any:
    import tensorflow as tf

    return lambda _: tf.cast(tf.strings.length(tf.io.read_file(__file__)), tf.float32)


def _print(_witness: Path) -> Any:
    import tensorflow as tf

    def run(images: Any) -> Any:
        with tf.control_dependencies([tf.print("x", output_stream="file:///dev/null")]):
            return tf.reduce_mean(images)

    return run


EVIL = {
    "EagerPyFunc": _python,
    "PyFunc": _numpy_function,
    "WriteFile": _write_file,
    "SaveV2": _save,
    "SaveV2 in a function": _save_in_a_function,
    "ReadFile": _read_file,
    "PrintV2": _print,
}


@pytest.mark.parametrize("operator", EVIL)
def test_operators_that_touch_more_than_tensors_are_refused(operator: str, tmp_path: Path) -> None:
    witness = tmp_path / "was_run"
    evil = write_hub_form(tmp_path / "m", also_in_call=EVIL[operator](witness))
    assert list(tmp_path.glob("was_run*")) == []
    sentence = refused(evil)
    assert "holds operators that no image network needs (" in sentence
    assert operator.partition(" ")[0] in sentence
    assert list(tmp_path.glob("was_run*")) == []


def test_functions_that_save_pass_only_where_nothing_can_call_them(folder: Path) -> None:
    """TensorFlow writes such a function into every SavedModel."""
    from tensorflow.core.protobuf import saved_model_pb2

    data = (folder / GRAPH_FILE).read_bytes()

    def changed(change: Callable[[Any, Any], object]) -> bytes:
        model = saved_model_pb2.SavedModel.FromString(data)
        graph = model.meta_graphs[0]
        (saving,) = (
            function
            for function in graph.graph_def.library.function
            if any(node.op == "SaveV2" for node in function.node_def)
        )
        change(graph, saving)
        return bytes(model.SerializeToString())

    def called_by_python(graph: Any, saving: Any) -> None:
        graph.object_graph_def.concrete_functions[saving.signature.name].SetInParent()

    def gradient_of_another(graph: Any, saving: Any) -> None:
        graph.graph_def.library.gradient.add().gradient_func = saving.signature.name

    def registered_gradient(graph: Any, saving: Any) -> None:
        graph.graph_def.library.registered_gradients.add().gradient_func = saving.signature.name

    def an_operator(graph: Any, saving: Any) -> None:
        graph.graph_def.library.function[0].node_def.add().op = saving.signature.name

    def a_branch(graph: Any, saving: Any) -> None:
        node = graph.graph_def.library.function[0].node_def.add()
        node.op = "Case"
        node.attr["branches"].list.func.add().name = saving.signature.name

    def swapped_in(_graph: Any, saving: Any) -> None:
        saving.attr["api_implements"].s = b"x"

    check_graph(changed(lambda *_: None))
    for change in (
        called_by_python,
        gradient_of_another,
        registered_gradient,
        an_operator,
        a_branch,
        swapped_in,
    ):
        with pytest.raises(UnusableInput, match=r"no image network needs \(.*SaveV2"):
            check_graph(changed(change))


def test_a_graph_in_a_keras_file_is_checked_as_well(
    tmp_path: Path,
    classifier_contract_maker: ContractMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The forger's file has a valid contract and digest."""
    witness = tmp_path / "was_run"
    evil = write_hub_form(tmp_path / "m", also_in_call=_write_file(witness))
    path = tmp_path / "m.keras"
    with monkeypatch.context() as forger:
        for module in ("saved_model", "saved_model_layer"):
            forger.setattr(f"lesionlite_export.{module}.check_graph", lambda *_: None)
        save_keras(
            classifier_of(layer_of(evil), "uint8"), classifier_contract_maker(side=SIDE), path
        )
        witness.unlink()  # making the layer ran it
        load_keras(path)
    assert not witness.exists()
    for load in (load_keras, load_network):
        with pytest.raises(UnusableInput, match=r"m\.keras: .* no image network needs \(WriteFile"):
            load(path)
    assert not witness.exists()


def test_a_graph_in_a_config_may_be_anything(
    folder: Path, classifier_contract_maker: ContractMaker, tmp_path: Path
) -> None:
    path = tmp_path / "m.keras"
    save_keras(classifier_of(layer_of(folder), "uint8"), classifier_contract_maker(side=SIDE), path)
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(content["config.json"])
    (layer,) = (e for e in config["config"]["layers"] if e["class_name"] == "SavedModelLayer")
    for graph in ("", "no base64!", "bm8gemxpYg==", 7, None, ["x"], layer["config"]["graph"][:-9]):
        layer["config"]["graph"] = graph
        content["config.json"] = json.dumps(config).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        with pytest.raises(
            UnusableInput, match=r"m\.keras: (this|the graph of a) (is no )?SavedModel"
        ):
            load_keras(path)


def test_tables_are_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("a\nb\n")
    module = tf.train.Checkpoint()
    module.table = tf.lookup.StaticVocabularyTable(
        tf.lookup.TextFileInitializer(
            str(vocabulary),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        1,
    )
    module.__call__ = tf.function(
        lambda x: tf.reduce_mean(x, [1, 2]), input_signature=[tf.TensorSpec((None, 32, 32, 3))]
    )
    tf.saved_model.save(module, str(tmp_path / "m"))
    assert "holds tables or other files (" in refused(tmp_path / "m")


def _save_module(folder: Path, function: Any, *specs: Any) -> Path:
    import tensorflow as tf

    module = tf.train.Checkpoint()
    module.__call__ = tf.function(function, input_signature=list(specs))
    tf.saved_model.save(module, str(folder))
    return folder


def test_graphs_that_are_no_feature_extractors_are_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    def mean(x: Any) -> Any:
        return tf.reduce_mean(tf.cast(x, tf.float32), [1, 2])

    image = tf.TensorSpec((None, 32, 32, 3))
    cases: dict[str, tuple[Any, ...]] = {
        "returns 2 outputs, not one feature vector": (
            lambda x: {"a": mean(x), "b": mean(x)},
            image,
        ),
        "returns [32, 32, 3] for an image, not a vector": (tf.identity, image),
        "32 x 48 pixels, which are not square": (mean, tf.TensorSpec((None, 32, 48, 3))),
        "takes float32 [1, 32, 32, 3], not batches": (mean, tf.TensorSpec((1, 32, 32, 3))),
        "takes float32 [None, 32, 32, 1], not batches": (mean, tf.TensorSpec((None, 32, 32, 1))),
        "takes float64 [None, 32, 32, 3], not batches": (
            mean,
            tf.TensorSpec((None, 32, 32, 3), tf.float64),
        ),
    }
    for number, (words, (function, *specs)) in enumerate(cases.items()):
        assert words in refused(_save_module(tmp_path / str(number), function, *specs))

    module = tf.train.Checkpoint()
    tf.saved_model.save(module, str(tmp_path / "nothing"))
    assert "can neither be called nor has it the signature" in refused(tmp_path / "nothing")
    two = tf.function(lambda a, b: {"y": mean(a) + mean(b)}, input_signature=[image, image])
    tf.saved_model.save(module, str(tmp_path / "two"), signatures={"serving_default": two})
    assert "takes 2 inputs, not one image" in refused(tmp_path / "two")


def test_tensorflow_1s_format_is_refused(tmp_path: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    old = saved_model_pb2.SavedModel()
    old.meta_graphs.add().meta_info_def.tags.append("serve")
    (tmp_path / GRAPH_FILE).write_bytes(old.SerializeToString())
    assert "is not in TensorFlow 2's format" in refused(tmp_path)


def test_missing_and_damaged_parts_are_refused(folder: Path, tmp_path: Path) -> None:
    assert "this folder holds no SavedModel (no saved_model.pb)" in refused(tmp_path)
    data = (folder / GRAPH_FILE).read_bytes()
    (tmp_path / GRAPH_FILE).write_bytes(data)
    assert "variables of this SavedModel are missing or damaged" in refused(tmp_path)
    (tmp_path / GRAPH_FILE).write_bytes(data[: len(data) // 2])
    assert "this is no SavedModel, or a damaged one" in refused(tmp_path)
    (tmp_path / GRAPH_FILE).write_bytes(b"")
    assert "the file is empty" in refused(tmp_path)


def test_variables_that_are_cut_off_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for path in (copy / "variables").iterdir():
        data = path.read_bytes()
        for kept in (0, len(data) // 60, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:kept])
            assert "variables of this SavedModel are missing or damaged" in refused(copy), kept
        path.write_bytes(data)


def test_graphs_that_are_too_large_and_other_variables_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    data = (folder / GRAPH_FILE).read_bytes()

    def changed(change: Callable[[Any], object]) -> bytes:
        model = saved_model_pb2.SavedModel.FromString(data)
        nodes = model.meta_graphs[0].object_graph_def.nodes
        change(next(n.variable for n in nodes if n.WhichOneof("kind") == "variable"))
        return bytes(model.SerializeToString())

    def sized(size: int) -> Callable[[Any], object]:
        return lambda variable: setattr(variable.shape.dim.add(), "size", size)

    check_graph(changed(sized(1)))
    with pytest.raises(UnusableInput, match=r"has [0-9,]+ parameters, over 268,435,456"):
        check_graph(changed(sized(1 << 30)))
    for change in (
        sized(-1),
        lambda variable: setattr(variable.shape, "unknown_rank", True),
        lambda variable: setattr(variable, "dtype", 7),  # strings
    ):
        with pytest.raises(UnusableInput, match="that are no numbers, or of no fixed shape"):
            check_graph(changed(change))
    monkeypatch.setattr("lesionlite_export.saved_model.MAX_GRAPH_BYTES", len(data) - 1)
    assert "the graph of this SavedModel is over " in refused(folder)


def test_the_digest_of_a_saved_model_covers_graph_and_variables(
    folder: Path, tmp_path: Path
) -> None:
    digest = saved_model_sha256(folder)
    for number, name in enumerate((GRAPH_FILE, "variables/variables.data-00000-of-00001")):
        copy = tmp_path / str(number)
        shutil.copytree(folder, copy)
        assert saved_model_sha256(copy) == digest
        changed = bytearray((copy / name).read_bytes())
        changed[-1] ^= 1
        (copy / name).write_bytes(changed)
        assert saved_model_sha256(copy) != digest


@given(
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1)
)
def test_a_graph_of_any_bytes_is_refused_in_one_sentence_or_passes(
    folder: Path, places: list[tuple[float, int]]
) -> None:
    data = bytearray((folder / GRAPH_FILE).read_bytes())
    for place, change in places:
        data[int(place * len(data))] ^= change
    with contextlib.suppress(UnusableInput):
        check_graph(bytes(data), "m.pb")


def test_the_list_of_operators_knows_no_other_name_than_tensorflows() -> None:
    import tensorflow as tf

    assert sorted(name for name in ALLOWED_OPERATORS if not hasattr(tf.raw_ops, name)) == []
    touching = ("File", "Py", "Save", "Restore", "Table", "Print", "Dataset", "Reader", "Summary")
    assert sorted(n for n in ALLOWED_OPERATORS if any(word in n for word in touching)) == []


def test_another_backend_of_keras_is_named(
    folder: Path, classifier_contract_maker: ContractMaker, tmp_path: Path
) -> None:
    path = tmp_path / "m.keras"
    save_keras(classifier_of(layer_of(folder), "uint8"), classifier_contract_maker(side=SIDE), path)
    script = textwrap.dedent(
        """
        import sys
        from lesionlite_export.keras_model import load_keras
        from lesionlite_runtime.errors import MissingHere
        try:
            load_keras(sys.argv[1])
        except MissingHere as error:
            print(error)
        """
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "KERAS_BACKEND": "numpy",
    }
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == (
        f"{path}: a SavedModel needs TensorFlow, and Keras runs on numpy; "
        "set KERAS_BACKEND=tensorflow"
    )
