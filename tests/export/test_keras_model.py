"""A ``.keras`` with its contract: what its digest covers, and what is refused at loading."""

from __future__ import annotations

import copy
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_export.keras_model import (
    KerasModel,
    keras_outputs,
    load_keras,
    network_sha256,
    save_keras,
)
from lesionlite_runtime.codec import canonical_json
from lesionlite_runtime.container import read_contract, write_keras_contract
from lesionlite_runtime.contract import CONTRACT_MEMBER, ClassifierContract
from lesionlite_runtime.errors import UnusableInput, UsageError

pytestmark = pytest.mark.tensorflow
NetworkMaker = Callable[..., Any]
ContractMaker = Callable[..., ClassifierContract]


@pytest.fixture
def network(network_maker: NetworkMaker) -> Any:
    """A tiny classifier of a test's own, to be altered."""
    return network_maker()


@pytest.fixture
def contract(classifier_contract_maker: ContractMaker) -> ClassifierContract:
    """The contract of `network`."""
    return classifier_contract_maker()


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path: Path, content: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def test_a_saved_model_comes_back(
    network: Any, contract: ClassifierContract, tmp_path: Path
) -> None:
    path = tmp_path / "m.keras"
    written = save_keras(network, contract, path)
    assert written.provenance.network_sha256 == network_sha256(network)
    assert replace(written, provenance=contract.provenance) == contract
    assert list(tmp_path.iterdir()) == [path]
    loaded = load_keras(path)
    assert loaded.path == str(path)
    assert loaded.contract == written == read_contract(path)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
    before, after = (n.predict_on_batch(pixels) for n in (network, loaded.network))
    assert np.array_equal(before, after)


def test_the_digest_outlives_saving_loading_and_rebuilding(
    network: Any, contract: ClassifierContract, network_maker: NetworkMaker, tmp_path: Path
) -> None:
    digest = network_sha256(network)
    assert len(digest) == 64
    assert network_sha256(network) == digest
    assert network_sha256(network_maker()) == digest

    first, second = tmp_path / "first.keras", tmp_path / "second.keras"
    save_keras(network, contract, first)
    loaded = load_keras(first)
    assert network_sha256(loaded.network) == digest
    save_keras(loaded.network, loaded.contract, second)
    assert load_keras(second).contract.provenance.network_sha256 == digest


def test_the_digest_outlives_training_switches(network: Any) -> None:
    digest = network_sha256(network)
    network.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    assert network_sha256(network) == digest
    network.optimizer.build(network.trainable_variables)
    assert network_sha256(network) == digest
    network.trainable = False
    assert network_sha256(network) == digest
    network.get_layer("stem").trainable = True
    assert network_sha256(network) == digest


def test_the_digest_is_the_same_in_another_process(tiny_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys
        from lesionlite_export.keras_model import load_keras, network_sha256
        print(network_sha256(load_keras(sys.argv[1]).network))
        """
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONHASHSEED": "7",
    }
    command = [sys.executable, "-c", script, str(tiny_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == read_contract(tiny_path).provenance.network_sha256


def test_the_digest_sees_one_weight(network: Any) -> None:
    digest = network_sha256(network)
    for variable in network.variables:
        value = variable.numpy()
        changed = value.copy()
        changed.flat[0] += 1e-7
        if changed.flat[0] == value.flat[0]:
            changed.flat[0] = np.nextafter(value.flat[0], np.float32(np.inf))
        variable.assign(changed)
        assert network_sha256(network) != digest, variable.path
        variable.assign(value)
    assert network_sha256(network) == digest


def test_the_digest_sees_the_scaling(network: Any) -> None:
    digest = network_sha256(network)
    network.get_layer("scaling").offset = -1.0
    assert network_sha256(network) != digest


def test_the_digest_sees_weights_change_places(network_maker: NetworkMaker) -> None:
    import keras

    def body(x: Any) -> Any:
        return keras.layers.Conv2D(3, 1, name="b")(keras.layers.Conv2D(3, 1, name="a")(x))

    network = network_maker(body=body)
    digest = network_sha256(network)
    a, b = network.get_layer("a"), network.get_layer("b")
    first, second = a.get_weights(), b.get_weights()
    a.set_weights(second)
    b.set_weights(first)
    assert network_sha256(network) != digest


def test_a_file_of_another_version_of_keras_is_not_taken_for_a_changed_network(
    network: Any, contract: ClassifierContract, tmp_path: Path
) -> None:
    """Keras versions name other settings; what a file was digested with stands in the file."""
    path = tmp_path / "m.keras"
    save_keras(network, contract, path)
    content = members(path)
    architecture = json.loads(content["config.json"])
    for layer in architecture["config"]["layers"]:
        layer["config"].pop("activity_regularizer", None)
    older = network_sha256(network, architecture)
    assert older != network_sha256(network)
    provenance = replace(contract.provenance, network_sha256=older)
    content["config.json"] = json.dumps(architecture).encode()
    content[CONTRACT_MEMBER] = replace(contract, provenance=provenance).to_bytes()
    write_members(path, content)
    assert load_keras(path).contract.provenance.network_sha256 == older


def refused(path: Path) -> str:
    with pytest.raises(UnusableInput) as caught:
        load_keras(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    assert caught.value.exit_code == 5
    return sentence


def test_what_is_no_keras_file_is_refused(tiny_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    assert "no such file" in refused(path)
    path.write_text("a text")
    assert "this is neither a .keras nor a .tflite model" in refused(path)
    data = tiny_path.read_bytes()
    for size in (100, len(data) // 2, len(data) - 30):
        path.write_bytes(data[:size])
        assert "this is neither a .keras nor a .tflite model" in refused(path)
    path.write_bytes(b"")
    assert "the file is empty" in refused(path)


def test_a_tflite_is_refused_as_one(tiny_path: Path, shipped_model: Path) -> None:
    assert "this is a .tflite; pass the .keras" in refused(shipped_model)


def test_a_damaged_member_is_refused(tiny_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    for name in ("config.json", "model.weights.h5"):
        content = members(tiny_path)
        content[name] = content[name][: len(content[name]) // 2]
        write_members(path, content)
        assert "Keras cannot load this model (" in refused(path)


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(
    tiny_path: Path, tmp_path: Path
) -> None:
    """Keras unpacks every member to disk, whether the network needs it or not."""
    compressed, overlapping = tmp_path / "compressed.keras", tmp_path / "overlapping.keras"
    shutil.copyfile(tiny_path, compressed)
    with zipfile.ZipFile(compressed, "a") as archive:
        archive.writestr("assets/zeros", bytes(1 << 20), zipfile.ZIP_DEFLATED)
    shutil.copyfile(tiny_path, overlapping)
    with zipfile.ZipFile(overlapping, "a") as archive:
        for number in range(20):
            again = copy.copy(archive.getinfo("model.weights.h5"))
            again.filename = f"assets/{number}"
            archive.filelist.append(again)
        archive.writestr("assets/last", b"")
    for path in (compressed, overlapping):
        assert "the files in this model are compressed, or overlap" in refused(path)


def test_a_model_without_a_contract_is_refused(tiny_path: Path, tmp_path: Path) -> None:
    content = members(tiny_path)
    del content[CONTRACT_MEMBER]
    path = tmp_path / "m.keras"
    write_members(path, content)
    assert "the model carries no contract" in refused(path)


def test_a_contract_that_was_altered_is_refused(tiny_path: Path, tmp_path: Path) -> None:
    content = members(tiny_path)
    body = json.loads(content[CONTRACT_MEMBER])
    body["threshold"]["value"] = 0.01
    content[CONTRACT_MEMBER] = canonical_json(body)
    path = tmp_path / "m.keras"
    write_members(path, content)
    assert "digest does not fit the rest of the contract" in refused(path)


def test_weights_that_were_changed_are_refused(
    network: Any, contract: ClassifierContract, tmp_path: Path
) -> None:
    path = tmp_path / "m.keras"
    written = save_keras(network, contract, path)
    kernel, bias = network.get_layer("score").get_weights()
    network.get_layer("score").set_weights([kernel, bias + 1e-6])
    network.save(path)
    write_keras_contract(path, written)
    assert "the network's digest is not the one in its contract" in refused(path)


def test_an_architecture_that_was_changed_is_refused(tiny_path: Path, tmp_path: Path) -> None:
    content = members(tiny_path)
    assert content["config.json"].count(b"-0.9921875") == 1
    content["config.json"] = content["config.json"].replace(b"-0.9921875", b"-1.0")
    path = tmp_path / "m.keras"
    write_members(path, content)
    assert "the network's digest is not the one in its contract" in refused(path)


def test_networks_that_do_not_fit_the_contract_are_refused(
    contract: ClassifierContract, network_maker: NetworkMaker, tmp_path: Path
) -> None:
    import keras

    def image(side: int = 32, dtype: str = "uint8") -> Any:
        return keras.Input((side, side, 3), dtype=dtype, name="image")

    def head(x: Any, units: int = 1, name: str = "score") -> Any:
        mean = keras.layers.GlobalAveragePooling2D(name=f"mean_{name}")(x)
        return keras.layers.Dense(units, "sigmoid", name=name)(mean)

    def scaled(x: Any) -> Any:
        return keras.layers.Rescaling(1 / 255, name="scaling")(x)

    first, second, third, fourth = image(), image(), image(dtype="float32"), image()
    shared = scaled(first)
    cases = {
        "1 inputs and 2 outputs": keras.Model(first, [head(shared), head(shared, name="other")]),
        "[32, 32, 3] to [2], and its contract [32, 32, 3] to [1]": keras.Model(
            second, head(scaled(second), 2)
        ),
        "the network's input is float32, not uint8": keras.Model(third, head(scaled(third))),
        "[48, 48, 3] to [1], and its contract [32, 32, 3] to [1]": network_maker(side=48),
        "2 inputs and 1 outputs": keras.Model(
            [fourth, keras.Input((1,), name="age")], head(scaled(fourth))
        ),
    }
    unbuilt = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)])
    cases["0 inputs and 0 outputs"] = unbuilt
    for number, (words, network) in enumerate(cases.items()):
        path = tmp_path / f"{number}.keras"
        save_keras(network, contract, path)
        assert words in refused(path)


def test_code_in_a_model_is_never_run(
    contract: ClassifierContract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    witness = tmp_path / "was_run"
    monkeypatch.setenv("WITNESS", str(witness))

    image = keras.Input((32, 32, 3), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255, name="scaling")(image)
    x = keras.layers.Lambda(
        lambda t: __import__("pathlib").Path(__import__("os").environ["WITNESS"]).touch() or t,
        name="evil",
    )(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    network = keras.Model(image, keras.layers.Dense(1, "sigmoid", name="score")(x))
    path = tmp_path / "evil.keras"
    save_keras(network, contract, path)
    witness.unlink()  # building the network ran it
    sentence = refused(path)
    assert "this model holds code of its maker's (a Lambda layer)" in sentence
    assert sentence.endswith("or pass --allow-code if you trust whoever made it")
    assert not witness.exists()

    load_keras(path, allow_code=True)
    assert witness.exists()


def test_a_name_that_keras_cannot_save_to_is_refused_as_usage(
    network: Any, contract: ClassifierContract, tmp_path: Path
) -> None:
    for name in ("m.h5", "m", "m.tflite"):
        with pytest.raises(UsageError, match=r"does not end in \.keras; name the model FILE.keras"):
            save_keras(network, contract, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_without_force(
    network: Any, contract: ClassifierContract, tmp_path: Path
) -> None:
    path = tmp_path / "m.keras"
    path.write_text("mine")
    with pytest.raises(UsageError, match="pass --force"):
        save_keras(network, contract, path)
    assert path.read_text() == "mine"
    save_keras(network, contract, path, force=True)
    assert load_keras(path).contract.threshold == contract.threshold


def test_a_save_that_is_interrupted_leaves_nothing(
    network: Any,
    contract: ClassifierContract,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def half_a_save(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(network, "save", half_a_save)
    with pytest.raises(KeyboardInterrupt):
        save_keras(network, contract, tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_outputs_do_not_depend_on_the_batches(tiny_model: KerasModel) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (7, 32, 32, 3)).astype(np.uint8)
    whole = np.concatenate(list(keras_outputs(tiny_model.network, pixels, 7)))
    chunks = list(keras_outputs(tiny_model.network, iter(pixels), 3))
    assert [len(chunk) for chunk in chunks] == [3, 3, 1]
    assert chunks[0].dtype == np.float64
    assert np.concatenate(chunks) == pytest.approx(whole, abs=1e-6)
    assert list(keras_outputs(tiny_model.network, iter([]))) == []


def test_networks_one_after_another_bring_no_warning(network_maker: NetworkMaker) -> None:
    """TensorFlow takes them for one that is traced again and again, and says so from the fifth."""
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    logger = logging.getLogger("tensorflow")
    logger.addHandler(handler)
    try:
        for _ in range(7):
            network = network_maker()
            list(keras_outputs(network, [np.zeros(network.inputs[0].shape[1:], np.uint8)]))
    finally:
        logger.removeHandler(handler)
    assert logged.getvalue() == ""
