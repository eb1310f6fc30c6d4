"""Other people's Keras networks in lesionlite's own form: the scores are those of the network."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.export.brought import draft_of
from tests.runtime.drafts import binary_draft, labels_draft, regression_draft

from lesionlite_export.brought_keras import BroughtKeras, in_own_form, load_brought_keras
from lesionlite_export.keras_model import keras_outputs, network_sha256
from lesionlite_export.pixel_scaling import scaled
from lesionlite_export.raw_scores import scores_of
from lesionlite_export.source import load_source, outputs_of
from lesionlite_runtime.draft import ImageDraft, RegressionDraft, draft_of_json
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError

pytestmark = pytest.mark.tensorflow
H, W = 10, 8
RNG = np.random.default_rng(5)
PIXELS = RNG.integers(0, 256, (5, H, W, 3), dtype=np.uint8)
SHAPE = {"shape": [1, H, W, 3]}
Pixels = NDArray[np.uint8]


def image_draft(body: Any) -> ImageDraft:
    draft = draft_of_json(body, None)
    assert not isinstance(draft, RegressionDraft)
    return draft


def small(units: int, *, shape: Any = (H, W, 3), dtype: str = "float32", name: str = "core") -> Any:
    """A network that tells pixels, channels and ranges apart."""
    import keras

    keras.utils.set_random_seed(units)
    image = keras.Input(shape, dtype=dtype, name="x")
    x = keras.layers.Rescaling(1 / 255)(image) if dtype == "uint8" else image
    x = keras.layers.Conv2D(4, 3, activation="tanh")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(units, name="last")(x), name=name)


def activated(core: Any, function: str | None) -> Any:
    import keras

    return core if function is None else keras.Sequential([core, keras.layers.Activation(function)])


def saved(network: Any, tmp_path: Path, name: str = "m.keras") -> Path:
    path = tmp_path / name
    network.save(path)
    return path


SCALINGS = [
    {"range": [0, 1]},
    {"range": [-1, 1], "color": "BGR"},
    {"range": [0, 1], "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]},
    {"range": [0, 255], "mean": [100, 110, 120], "color": "BGR"},
]


def test_scores_are_those_of_the_network_by_every_draft() -> None:
    """Against the network itself on pixels scaled in NumPy, and its scores made in NumPy."""
    two = [("sigmoid", 1), ("sigmoid_logits", 1)]
    two += [(values, 2) for values in ("softmax", "softmax_logits", "sigmoid", "sigmoid_logits")]
    drafts = [
        binary_draft(output={"values": values, "units": units, "score_of": label})
        for (values, units), label in itertools.product(two, ("benign", "malignant"))
    ]
    drafts += [
        labels_draft(output={"values": values})
        for values in ("softmax", "softmax_logits", "sigmoid", "sigmoid_logits")
    ]
    cores: dict[Any, Any] = {}
    for body, scaling in zip(drafts, itertools.cycle(SCALINGS), strict=False):
        draft = image_draft({**body, "input": {**body["input"], **SHAPE, **scaling}})
        units = getattr(draft.output, "units", 3)
        function = None if "logits" in draft.output.values else draft.output.values
        if (units, function) not in cores:
            cores[units, function] = activated(small(units), function)
        core = cores[units, function]
        network = in_own_form(core, draft, "m")
        found = np.concatenate(list(keras_outputs(network, list(PIXELS))))
        raw = np.asarray(core.predict_on_batch(scaled(PIXELS, draft.input)), np.float64)
        assert found == pytest.approx(scores_of(raw, draft), abs=1e-5), (body, scaling)
        brought = BroughtKeras("m", network, None, draft, core)  # type: ignore[arg-type]
        again = np.concatenate(list(brought.raw_outputs(draft.input, list(PIXELS))))
        assert again == pytest.approx(raw, abs=1e-5)
    assert len({round(float(score), 6) for score in found.ravel()}) > 5


def test_networks_of_every_kind_are_taken(tmp_path: Path) -> None:
    import keras

    free = small(1, shape=(None, None, 3), name="free")
    fixed = keras.Sequential(
        [keras.Input(batch_shape=(1, H, W, 3)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    unbuilt = keras.Sequential([small(1, name="image"), keras.layers.Activation("linear")])
    own_pixels = small(1, dtype="uint8")
    cases = {"free": free, "fixed": fixed, "unbuilt": unbuilt, "own": own_pixels}
    for name, network in cases.items():
        range_ = [0, 255] if name == "own" else [0, 1]
        body = binary_draft(input={**SHAPE, "range": range_}, output={"values": "sigmoid_logits"})
        path = saved(network, tmp_path, f"{name}.keras")
        source = load_source(path, draft_of_json(body, None))
        assert isinstance(source, BroughtKeras)
        found = np.concatenate(list(outputs_of(source, list(PIXELS))))
        x = PIXELS if name == "own" else scaled(PIXELS, image_draft(body).input)
        raw = np.concatenate([np.asarray(network(x[i : i + 1])) for i in range(len(x))])
        assert found == pytest.approx(1 / (1 + np.exp(-raw.ravel())), abs=1e-5), name
        assert source.batch == (1 if name == "fixed" else None)
        assert source.takes_any_scaling == (name != "own")


def test_a_regression(tmp_path: Path) -> None:
    import keras

    x = keras.Input((1,))
    line = keras.Model(x, keras.layers.Dense(1)(x))
    line.layers[-1].set_weights([np.array([[2.0]]), np.array([-1.0])])
    source = load_source(saved(line, tmp_path), draft_of_json(regression_draft(), None))
    values = [np.array([v], np.float32) for v in (-20, 0, 3)]
    assert np.concatenate(list(outputs_of(source, values))).tolist() == [-41, -1, 5]
    assert (source.contract.input.name, source.contract.output.name) == ("x", "y")


def test_the_digest_is_the_network_s_own_and_outlives_saving(tmp_path: Path) -> None:
    import keras

    path = saved(small(1), tmp_path)
    draft = draft_of_json(binary_draft(input=SHAPE, output={"values": "sigmoid_logits"}), None)
    source = load_source(path, draft)
    digest = source.contract.provenance.network_sha256
    again = saved(keras.saving.load_model(path), tmp_path, "again.keras")
    assert load_source(again, draft).contract.provenance.network_sha256 == digest
    assert network_sha256(source.core) == digest  # type: ignore[union-attr]
    assert source.contract.provenance.draft is not None


def refused(network: Any, body: Any, tmp_path: Path) -> str:
    path = saved(network, tmp_path, f"{len(list(tmp_path.iterdir()))}.keras")
    with pytest.raises(UnusableInput) as caught:
        load_brought_keras(path, draft_of_json(body, None))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_networks_that_are_not_the_drafts_are_refused(tmp_path: Path) -> None:
    import keras

    image = keras.Input((H, W, 3))
    both = keras.Model(image, [small(1)(image), small(1, name="other")(image)])
    maps = keras.Model(image, keras.layers.Conv2D(1, 3)(image))
    plain = binary_draft(input=SHAPE, output={"values": "sigmoid_logits"})
    other = binary_draft(input={"shape": [1, 9, 8, 3]}, output={"values": "sigmoid_logits"})
    pixels = binary_draft(input={**SHAPE, "range": [0, 1]}, output={"values": "sigmoid_logits"})
    cases: list[tuple[Any, Any, str]] = [
        (both, plain, "the network has 1 inputs and 2 outputs, not one of each"),
        (maps, plain, "the network gives [None, 8, 6, 1], and by the draft [None, 1]"),
        (small(2), plain, "the network gives [None, 2], and by the draft [None, 1]"),
        (small(1), other, "the network takes float32 [None, 10, 8, 3], and by the draft"),
        (small(1), regression_draft(), "and by the draft float32 [None, 1]"),
        (small(1, dtype="uint8"), pixels, "it takes uint8 pixels, and by the draft another range"),
        (small(1, shape=(H, W, 4)), plain, "the network takes float32 [None, 10, 8, 4]"),
        (
            small(1, shape=(None, None, 3)),
            binary_draft(input={"shape": [1, 2, 2, 3]}, output={"values": "sigmoid_logits"}),
            "the network cannot be run on [None, 2, 2, 3]",
        ),
    ]
    for network, body, words in cases:
        assert words in refused(network, body, tmp_path)


def test_weights_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    network = small(1)
    kernel, bias = network.get_layer("last").get_weights()
    kernel[2] = np.nan
    kernel[3] = np.inf
    network.get_layer("last").set_weights([kernel, bias])
    body = binary_draft(input=SHAPE, output={"values": "sigmoid_logits"})
    assert "2 of the 4 weights last/kernel are NaN or infinite" in refused(network, body, tmp_path)


def test_code_runs_only_where_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    witness = tmp_path / "was_run"
    monkeypatch.setenv("WITNESS", str(witness))
    image = keras.Input((H, W, 3))
    x = keras.layers.Lambda(
        lambda t: __import__("pathlib").Path(__import__("os").environ["WITNESS"]).touch() or t / 2
    )(image)
    network = keras.Model(image, small(1)(x))
    body = binary_draft(input=SHAPE, output={"values": "sigmoid_logits"})
    path = saved(network, tmp_path)
    witness.unlink()  # building the network ran it
    sentence = refused(network, body, tmp_path)
    assert "this model holds code of its maker's (a Lambda layer); save it without, or" in sentence
    assert "--allow-code" in sentence
    assert not witness.exists()
    source = load_source(path, draft_of_json(body, None), allow_code=True)
    assert witness.exists()
    raw = np.asarray(network(PIXELS.astype(np.float32)))
    found = np.concatenate(list(outputs_of(source, list(PIXELS))))
    assert found == pytest.approx(1 / (1 + np.exp(-raw.ravel())), abs=1e-5)


def test_a_contract_and_a_draft_do_not_go_together(tiny_path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="carries a contract of its own; leave out --contract"):
        load_source(tiny_path, draft_of())
    bare = saved(small(1), tmp_path)
    for path in (bare, tmp_path):
        with pytest.raises(UnusableInput, match=r"carries no contract .*or pass --contract"):
            load_source(path)


def test_without_keras_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    path = saved(small(1), tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingHere, match=r"lesionlite\[export\]"):
        load_source(path, draft_of())
