"""Bad input and bad luck at the command line: one clear sentence, nothing half written.

Each line of the issue on bad input has a test here, or in the tests of its own module: activations
that are not finite in test_calibration.py, operators and layer names in test_convert.py,
test_conformity.py, test_layer_names.py and test_saved_model_layer.py, open shapes in
test_brought_*.py, code in a model in test_keras_model.py, test_hdf5.py and test_bring_your_own.py,
interruptions in test_publish.py.
"""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lesionlite_export.keras_model import load_keras, save_keras
from lesionlite_runtime.cli import main

pytestmark = pytest.mark.tensorflow
Outcome = tuple[int, str, str]
KILLED = """
import os, signal, sys
from lesionlite_runtime.cli import main
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
sys.exit(main(sys.argv[1:]))
"""
LIMITED = """
import resource, sys
from lesionlite_runtime.cli import main
import lesionlite_export.publish
write = lesionlite_export.publish._write_together
def limited(files, force):
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
    write(files, force)
lesionlite_export.publish._write_together = limited
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command line: (exit code, stdout, stderr)."""

    def call(*arguments: object) -> Outcome:
        code = main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return call


def in_a_process(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def plain_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of one colour each, in the ISIC layout; those to prove on are not."""
    folder = tmp_path_factory.mktemp("plain")
    rng = np.random.default_rng(0)
    for split in ("train", "valid"):
        for i, name in enumerate(("melanoma", "nevus")):
            place = folder / split / name
            place.mkdir(parents=True)
            for n in range(4):
                colour = np.full((40, 40, 3), 40 * n + 20 * i, np.uint8)
                pixels = colour if split == "train" else rng.integers(0, 255, (40, 40, 3), np.uint8)
                Image.fromarray(pixels).save(place / f"{split}{i}{n}.png")
    return folder


def test_calibration_images_of_one_colour_are_refused(
    run: Any, tiny_path: Path, plain_images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m.tflite"
    code, text, err = run("export", tiny_path, "--data", plain_images, "--out", out, "--quiet")
    assert (code, text) == (5, "")
    assert err.count("\n") == 1
    assert "each of its 8 images is of one colour, so that no range can be measured" in err
    assert list(tmp_path.iterdir()) == []


def test_calibration_images_of_one_class_are_told(
    run: Any, tiny_path: Path, small_drawn: Path, tmp_path: Path
) -> None:
    one = tmp_path / "one.csv"
    photos = sorted((small_drawn / "train" / "nevus").glob("*.jpg"))
    for photo in photos:
        (tmp_path / photo.name).write_bytes(photo.read_bytes())
    rows = "".join(f"{photo.name},0,nevus\n" for photo in photos)
    one.write_text(f"filepath,label,class\n{rows}")
    out = tmp_path / "m.tflite"
    line = ("export", tiny_path, "--representative", one, "--out", out, "--no-proof", "--quiet")
    code, _, err = run(*line)
    assert code == 0
    assert "all 8 representative images are of the class nevus" in err


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused_by_their_layer(
    run: Any, tiny_path: Path, small_drawn: Path, tmp_path: Path, value: float
) -> None:
    model = load_keras(tiny_path)
    layer = model.network.get_layer("project")
    kernel, bias = layer.get_weights()
    kernel[0, 0, 0, 0] = value
    layer.set_weights([kernel, bias])
    path, out = tmp_path / "bad.keras", tmp_path / "m.tflite"
    save_keras(model.network, model.contract, path)
    for recipe in ("int8", "float32"):
        line = ("export", path, "--recipe", recipe, "--data", small_drawn, "--out", out, "--quiet")
        code, _, err = run(*line)
        assert code == 5
        assert "1 of the 128 weights project/kernel are NaN or infinite; train the network" in err
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_in_the_middle_leaves_nothing_under_the_final_name(
    run: Any, line_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "line.tflite"
    line = ("export", line_path, "--recipe", "float32", "--out", out, "--quiet")
    ended = in_a_process(KILLED, *line)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    left = list(tmp_path.iterdir())
    assert all(path.name.startswith(f".{out.name}.") for path in left)
    assert run(*line)[0] == 0  # what is left does not stand in the way
    before = out.read_bytes()
    assert in_a_process(KILLED, *line, "--force").returncode == -signal.SIGKILL
    assert out.read_bytes() == before


def test_a_disk_that_takes_no_more_is_one_sentence(line_path: Path, tmp_path: Path) -> None:
    """A limit on the size of files is the full disk that every machine has."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 500
    out = tmp_path / "line.tflite"
    ended = in_a_process(
        LIMITED, "export", line_path, "--recipe", "float32", "--out", out, "--quiet"
    )
    assert ended.returncode == 6, ended.stderr
    assert f"lesionlite: {out}: the file cannot be written (file too large)" in ended.stderr
    assert list(tmp_path.iterdir()) == []
