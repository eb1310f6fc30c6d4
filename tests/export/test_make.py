"""From a model to a file: what goes together, and what is refused before any work."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export.conformity import check_recipe
from lesionlite_export.file_contract import file_contract
from lesionlite_export.keras_model import KerasModel, keras_outputs, load_keras
from lesionlite_export.make import Form, check_form, make_tflite
from lesionlite_export.parity import ScoreParity
from lesionlite_export.publish import export_model
from lesionlite_export.recipe import load_recipe, recipe_names
from lesionlite_export.sets import Sets
from lesionlite_export.source import Source, load_source
from lesionlite_runtime import Classifier
from lesionlite_runtime.cli import main
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.door import open_model
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.site_threshold import set_site_threshold

pytestmark = pytest.mark.tensorflow
SIDE = 32  # of the tiny network's images
Tensors = list[NDArray[np.uint8]]
IMAGE_RECIPES = [name for name in recipe_names() if name != "int16x8"]
UNGATED: dict[str, float | None] = dict.fromkeys(
    ("flip_rate", "newly_missed_rate", "auc_difference", "mean_score_error")
)


@pytest.fixture(scope="module")
def float32_path(
    tiny_model: KerasModel, small_sets: Sets, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The tiny classifier as a float32 file."""
    path = tmp_path_factory.mktemp("float32") / "tiny.tflite"
    export_model(tiny_model, load_recipe("float32"), path, sets=small_sets, limits=UNGATED)
    return path


FORMS = [
    (recipe, form)
    for recipe in IMAGE_RECIPES
    for form in (Form(), Form("float32"), Form(two_labels=True), Form("float32", two_labels=True))
    if not (recipe in ("int8-raw", "int8-full") and form.io == "float32")
    and not (recipe == "int8-full" and form.two_labels)
]


@pytest.mark.parametrize(("recipe", "form"), FORMS, ids=str)
def test_every_recipe_in_every_form_runs_and_decides_like_keras(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path, recipe: str, form: Form
) -> None:
    out = tmp_path / "m.tflite"
    chosen = load_recipe(recipe)
    exported = export_model(tiny_model, chosen, out, sets=small_sets, form=form, limits=UNGATED)
    assert exported.parity is not None
    errors = exported.parity.measures()
    assert errors["mean_score_error"] is not None
    # A head in integers has 256 levels, and its own rounding.
    assert errors["mean_score_error"] < (0.08 if recipe in ("int8-plain", "int8-full") else 0.03)
    contract = open_model(out).contract
    assert isinstance(contract, ClassifierContract)
    assert contract.input.dtype == form.io
    assert contract.input.range == (None if form.io == "uint8" else (0.0, 255.0))
    assert contract.output.units == (2 if form.two_labels else None)


def test_a_file_of_two_labels_has_the_score_second(
    tiny_model: KerasModel, tiny_tensors: Tensors
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    found = []
    for form in (Form(), Form(two_labels=True)):
        made = make_tflite(tiny_model, load_recipe("int8"), tiny_tensors, form)
        interpreter = Interpreter(model_content=made)
        interpreter.allocate_tensors()
        runner = interpreter.get_signature_runner()
        found.append([runner(image=tensor)["score"] for tensor in tiny_tensors])
    for one, two in zip(*found, strict=True):
        assert two.shape == (1, 2)
        assert two[0, 1] == one[0, 0]
        assert two.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("recipe", [n for n in IMAGE_RECIPES if n != "int8-plain"])
def test_a_float32_file_gives_the_same_file_as_the_keras_model(
    tiny_model: KerasModel, float32_path: Path, tiny_tensors: Tensors, recipe: str
) -> None:
    chosen = load_recipe(recipe)
    ours = make_tflite(tiny_model, chosen, tiny_tensors)
    assert make_tflite(load_source(float32_path), chosen, tiny_tensors) == ours


def test_the_proof_against_a_float32_file_says_so(
    tiny_model: KerasModel, float32_path: Path, small_sets: Sets, tmp_path: Path
) -> None:
    source = load_source(float32_path)
    out = tmp_path / "m.tflite"
    exported = export_model(source, load_recipe("int8"), out, sets=small_sets, limits=UNGATED)
    parity = exported.contract.parity
    assert parity is not None
    assert parity.reference == source.contract.model_id
    ours = tmp_path / "ours.tflite"
    export_model(tiny_model, load_recipe("int8"), ours, sets=small_sets, limits=UNGATED)
    theirs = Classifier(ours).contract.parity
    assert theirs is not None
    assert theirs.reference is None
    assert theirs.mean_score_error == pytest.approx(parity.mean_score_error, abs=1e-5)


def test_a_threshold_of_a_site_stays_at_the_site(
    float32_path: Path, small_sets: Sets, tmp_path: Path
) -> None:
    """What is proved is decisions at the locked threshold."""
    site, out = tmp_path / "site.tflite", tmp_path / "m.tflite"
    set_site_threshold(float32_path, 0.9, "few clinics", site)
    source = load_source(site)
    exported = export_model(source, load_recipe("int8"), out, sets=small_sets, limits=UNGATED)
    contract = exported.contract
    assert isinstance(contract, ClassifierContract)
    assert contract.site_threshold is None
    assert isinstance(exported.parity, ScoreParity)
    assert exported.parity.threshold == contract.threshold.value != 0.9


def test_an_integer_score_decides_as_the_contract_s_integer_says(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    out = tmp_path / "m.tflite"
    export_model(tiny_model, load_recipe("int8-full"), out, sets=small_sets, limits=UNGATED)
    classifier = Classifier(out)
    contract = classifier.contract
    assert contract.output.dtype == "uint8"
    interpreter = Interpreter(model_content=open_model(out).flatbuffer)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    assert small_sets.proof is not None
    decisions = set()
    for image in small_sets.proof.images:
        level = int(runner(image=classifier.tensor(image.path))["score"][0, 0])
        decision = classifier.classify(image.path).decision
        assert contract.threshold.quantized is not None
        assert (level >= contract.threshold.quantized) == (decision == "refer")
        decisions.add(decision)
    assert len(decisions) == 2


def refusal(source: Source, recipe: str, form: Form) -> str:
    with pytest.raises(UsageError) as caught:
        check_form(source, load_recipe(recipe), form)
    return str(caught.value)


def test_what_does_not_go_together_is_refused_before_any_work(
    tiny_model: KerasModel, float32_path: Path, line_path: Path
) -> None:
    line, file = load_keras(line_path), load_source(float32_path)
    assert "takes pixels as integers" in refusal(tiny_model, "int8-raw", Form("float32"))
    assert "takes pixels as integers" in refusal(tiny_model, "int8-full", Form("float32"))
    assert "gives one integer" in refusal(tiny_model, "int8-full", Form(two_labels=True))
    assert "there is no input type 'int8'" in refusal(tiny_model, "int8", Form("int8"))
    assert "is not for binary_classification" in refusal(tiny_model, "int16x8", Form())
    assert "is not for regression" in refusal(line, "int8-full", Form())
    assert "--two-labels are for images" in refusal(line, "int8", Form(two_labels=True))
    assert "needs TensorFlow's converter" in refusal(file, "int8-plain", Form())
    assert "made from a .keras alone" in refusal(file, "int8", Form(two_labels=True))


def _looping(x: Any) -> Any:
    from keras import layers

    x = layers.GRU(8)(layers.Reshape((SIDE, SIDE * 3))(x))
    return layers.Reshape((1, 1, 8))(x)


def _sorting(x: Any) -> Any:
    import keras

    return keras.layers.Reshape((1, 1, 3))(keras.ops.sort(keras.layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize(
    ("body", "operator", "io"),
    [
        (_looping, r"WHILE \(of a GRU, an LSTM or another loop\)", "float32"),
        (_sorting, "TOPK_V2", "uint8"),
    ],
)
def test_an_operator_that_is_not_run_is_named_with_the_network(
    network_maker: Callable[..., Any], tiny_model: KerasModel, body: Any, operator: str, io: str
) -> None:
    model = KerasModel("my.keras", network_maker(body=body), tiny_model.contract)
    with pytest.raises(UnusableInput) as caught:
        make_tflite(model, load_recipe("float32"), [], Form(io))
    assert re.fullmatch(
        rf"my\.keras: the network needs the operator {operator}, which lesionlite does not run; "
        "replace that layer",
        str(caught.value),
    )


def test_what_tensorflow_says_while_it_predicts_is_not_shown(
    network_maker: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    import keras
    import tensorflow as tf

    class Loud(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            tf.print("some noise", output_stream=sys.stderr)
            return x

    network = network_maker(body=Loud())
    capfd.readouterr()
    assert len(next(iter(keras_outputs(network, [np.zeros((SIDE, SIDE, 3), np.uint8)])))) == 1
    assert capfd.readouterr() == ("", "")


def test_a_quantized_file_is_no_model_to_export_from(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path
) -> None:
    for recipe in ("float16", "dynamic", "int8"):
        out = tmp_path / f"{recipe}.tflite"
        export_model(tiny_model, load_recipe(recipe), out, sets=small_sets, limits=UNGATED)
        with pytest.raises(UnusableInput, match="this file is quantized already"):
            check_form(load_source(out), load_recipe("int8"), Form())


def test_the_finished_file_is_held_against_its_recipe(
    tiny_model: KerasModel, tiny_tensors: Tensors
) -> None:
    raw, plain = load_recipe("int8-raw"), load_recipe("int8")
    made = make_tflite(tiny_model, raw, tiny_tensors)
    contract = file_contract(tiny_model, raw, Form(), {}, made)
    check_recipe(made, raw, contract, "m.tflite")
    with pytest.raises(UnusableInput, match="the file's input is quantized"):
        check_recipe(made, plain, contract, "m.tflite")


def test_sixteen_bits_for_a_line(
    line_path: Path, tmp_path: Path, invoke: Callable[[bytes, NDArray[Any]], float]
) -> None:
    errors = {}
    for recipe in ("int8", "int16x8"):
        out = tmp_path / f"{recipe}.tflite"
        exported = export_model(load_keras(line_path), load_recipe(recipe), out)
        assert exported.parity is not None
        errors[recipe] = exported.parity.measures()["max_absolute_error"]
    assert errors["int16x8"] is not None
    assert errors["int8"] is not None
    assert errors["int16x8"] < errors["int8"] / 5


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "tf_keras"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocker())
import importlib.util
real = importlib.util.find_spec
def find_spec(name, package=None):
    return None if name in ("tensorflow", "keras") else real(name, package)
importlib.util.find_spec = find_spec
from lesionlite_runtime.cli import main
code = main(sys.argv[1:])
assert not {"tensorflow", "keras"} & set(sys.modules)
sys.exit(code)
"""


def without_tensorflow(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line where neither TensorFlow nor Keras can be imported."""
    command = [sys.executable, "-c", BLOCKED, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_float32_file_is_quantized_and_proved_without_tensorflow(
    tiny_path: Path, float32_path: Path, small_drawn: Path, tmp_path: Path
) -> None:
    out, ours = tmp_path / "m.tflite", tmp_path / "ours.tflite"
    rest = ("--data", small_drawn, "--limits", "auc_difference=none")
    done = without_tensorflow("export", float32_path, "--out", out, *rest)
    assert done.returncode == 0, done.stderr
    assert "proof      passed" in done.stdout
    assert main(["export", *map(str, (tiny_path, "--out", ours, *rest))]) == 0
    assert open_model(out).flatbuffer == open_model(ours).flatbuffer
    verified = without_tensorflow("verify", float32_path, out, *rest)
    assert verified.returncode == 0, verified.stderr
    refused = without_tensorflow("export", tiny_path, "--out", tmp_path / "no.tflite", *rest)
    assert refused.returncode == 6
    assert "a .keras is read with Keras, which is not installed" in refused.stderr
    assert "lesionlite[export]" in refused.stderr
