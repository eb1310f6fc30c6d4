"""``lesionlite data fetch``, ``check`` and ``show`` at the command line."""

from __future__ import annotations

import csv
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from lesionlite_export.drawn import draw_lesion
from lesionlite_runtime.cli import main
from lesionlite_training import datasets, meter
from lesionlite_training.datasets import Dataset
from lesionlite_training.fetch import RemoteFile

from .test_datasets import ARCHIVES, at
from .unreliable_server import CtrlC, Unreliable, serving

Capture = pytest.CaptureFixture[str]


def data(*arguments: object) -> int:
    return main(["data", *map(str, arguments)])


@pytest.mark.parametrize("arguments", [[], ["fetch"], ["manifest"], ["check"], ["show"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "from lesionlite_runtime.cli import main\n"
        f"code = main(['data', *{arguments!r}, '--help'])\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'sklearn', 'scipy', 'matplotlib', 'imagehash',\n"
        "         'rich', 'urllib.request'} & set(sys.modules)\n"
        "sys.exit(code or ' '.join(heavy) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"Example: lesionlite\s+data", done.stdout)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Unreliable]:
    with serving() as plan:
        plan.files.update({f"{split}.zip": archive for split, archive in ARCHIVES.items()})
        monkeypatch.setitem(datasets.DATASETS, "small", at(plan.base))
        yield plan


def test_fetch(
    server: Unreliable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert data("fetch", "small") == 0
    text, error = capsys.readouterr()
    assert text.splitlines() == [
        "small/train: 3 images (melanoma 1, nevus 2)",
        "small/valid: 2 images (melanoma 1, nevus 1)",
        "next: lesionlite data manifest small --label melanoma=1 --label nevus=0 --out small",
    ]
    sizes = {split: len(archive) for split, archive in ARCHIVES.items()}
    assert error.startswith(f"Downloading train.zip ({sizes['train']:,} bytes) ...\nChecking it")
    assert "Unpacking valid.zip (3,200 bytes) ...\n" in error
    assert main(text.splitlines()[2].split()[2:]) == 0  # the command that it names
    capsys.readouterr()
    assert data("fetch", "small", "--dest", "small", "--quiet", "--json") == 0
    text, error = capsys.readouterr()
    assert error == ""
    assert [split["was_there"] for split in json.loads(text)["splits"]] == [True, True]


def test_fetch_faults(
    server: Unreliable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        offline = at(f"http://127.0.0.1:{closed.getsockname()[1]}")
    monkeypatch.setitem(datasets.DATASETS, "offline", offline)
    wrong = Dataset("wrong", {"train": RemoteFile(server.url("train.zip"), 5)}, {})
    monkeypatch.setitem(datasets.DATASETS, "wrong", wrong)
    cases = [
        (("fetch",), 2, "Missing argument 'DATASET'"),
        (("fetch", "isic2071"), 2, "there is no data set isic2071; take isic2017 or"),
        (("fetch", "small", "--split", "x"), 2, "small has no split x; take train, valid"),
        (("fetch", "wrong"), 5, "bytes, not 5; get the file from another place"),
        (("fetch", "offline"), 6, f"by hand into {tmp_path / 'offline'} first"),
    ]
    for arguments, code, words in cases:
        place = ("--dest", tmp_path / arguments[1]) if len(arguments) > 1 else ()
        assert data(*arguments, *place, "-q") == code
        text, error = capsys.readouterr()
        assert text == ""
        assert words in error
        assert error.count("\n") == 1


def test_ctrl_c_is_130_and_leaves_a_part(
    server: Unreliable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(meter, "TerminalMeter", CtrlC)
    assert data("fetch", "small", "--dest", tmp_path) == 130
    assert capsys.readouterr().err.strip() == "lesionlite: interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["train.zip.part"]


@pytest.fixture
def two_sets(tmp_path: Path) -> Path:
    """train.csv and valid.csv of drawings; one image is in both, one is [no] markup."""
    for split, seeds in (("train", (0, 1, 2)), ("valid", (2, 3))):
        with (tmp_path / f"{split}.csv").open("w", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["filepath", "label", "class"])
            for seed in seeds:
                name = f"{split}[red]{seed}.png"
                Image.fromarray(draw_lesion(seed, "nevus", (64, 64))).save(tmp_path / name)
                table.writerow([name, seed % 2, "nevus"])
    return tmp_path


def check(*arguments: object) -> int:
    pytest.importorskip("imagehash", reason="it comes with the extra training")
    return data("check", *arguments)


def test_check(two_sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(two_sets)
    assert check("train.csv", "valid.csv", "-q") == 0
    text, error = capsys.readouterr()
    assert error == ""
    lines = [re.sub(r"\s+", " ", line.strip("│ ")) for line in text.splitlines()]
    assert "train │ 3 │ 1 (33.3%) │ nevus 3 (100.0%) │ 64 × 64: 3 │ 0" in lines
    assert any(
        line.startswith("equal │ train: train[red]2.png │ valid: valid[red]2.png │ │ ACROSS SPLITS")
        for line in lines
    )
    assert lines[-2:] == [
        "pairs of equal pixels: 0 within a split, 1 across splits",
        "pairs of near-duplicates: 0 within a split, 0 across splits",
    ]


def test_check_json_and_exclude(two_sets: Path, capsys: Capture) -> None:
    train, valid, out = (two_sets / name for name in ("train.csv", "valid.csv", "copies.csv"))
    assert check(train, valid, "--json", "-q", "--write-exclude", out) == 0
    text, error = capsys.readouterr()
    assert json.loads(text)["pairs"]["equal"] == {"within": 0, "across": 1}
    assert error == f"1 images to leave out: {out}\n"
    assert out.read_text() == (
        "image_id,split,class,reason\n"
        "train[red]2,train,nevus,the same pixels as valid[red]2 (valid)\n"
    )
    assert check(train, "-q", "--write-exclude", out) == 2
    assert "the file exists already" in capsys.readouterr().err


def test_check_with_an_unreadable_image(two_sets: Path, capsys: Capture) -> None:
    (two_sets / "train[red]1.png").write_bytes(b"x")
    assert check(two_sets / "train.csv", "-q") == 4
    text, error = capsys.readouterr()
    assert "pairs of equal pixels: 0" in text
    first, second = error.splitlines()
    assert first.startswith(f"lesionlite: {two_sets / 'train[red]1.png'}: ")
    assert second == "lesionlite: 1 images cannot be read; see the reasons above"


def test_check_faults(two_sets: Path, capsys: Capture) -> None:
    assert check() == 2
    assert check(two_sets / "no.csv") == 5
    assert check(two_sets / "train.csv", two_sets / "train.csv") == 2
    for line in capsys.readouterr().err.splitlines():
        assert line.startswith("lesionlite: ")


def test_show(two_sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    pytest.importorskip("matplotlib", reason="it comes with the extra training")
    monkeypatch.chdir(two_sets)
    assert data("show", "train.csv") == 0
    assert capsys.readouterr().out == "train.png: 3 images\n"
    assert Image.open("train.png").format == "PNG"
    assert data("show", "train.csv") == 2
    capsys.readouterr()
    (two_sets / "train[red]1.png").write_bytes(b"x")
    assert data("show", "train.csv", "-o", "other.png", "--seed", 3, "--json") == 4
    text, error = capsys.readouterr()
    assert len(json.loads(text)["images"]) == 2
    assert "1 images could not be read and others were drawn instead" in error
