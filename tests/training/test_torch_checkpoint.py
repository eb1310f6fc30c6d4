"""The restricted reader of legacy ``.pth`` files, on files written here byte by byte."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lesionlite_runtime.errors import UnusableInput
from lesionlite_training.torch_checkpoint import read_torch_checkpoint

MAGIC = 0x1950A86A20F9469CFC6C
SYSTEM = {"little_endian": True, "protocol_version": 1001, "type_sizes": {"int": 4}}


def atom(value: object) -> bytes:
    """The opcodes that push ``value``, without PROTO and STOP."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(
    *,
    storage: bytes = b"ctorch\nFloatStorage\n",
    key: str = "7",
    count: int = 6,
    offset: int = 0,
    shape: tuple[int, ...] = (2, 3),
    strides: tuple[int, ...] = (3, 1),
    view: object = None,
) -> bytes:
    """The opcodes of one tensor, as torch.save writes them."""
    reference = atom("storage") + storage + atom(key) + atom("cpu") + atom(count) + atom(view)
    arguments = atom(offset) + atom(shape) + atom(strides) + atom(False) + atom({})
    return b"ctorch._utils\n_rebuild_tensor_v2\n((" + reference + b"tQ" + arguments + b"tR"


def checkpoint(table: bytes, storages: dict[str, np.ndarray]) -> bytes:
    """A legacy file whose table of tensors is the pickle ``table``."""
    heads = b"".join(pickle.dumps(value, 2) for value in (MAGIC, 1001, SYSTEM))
    data = b"".join(a.size.to_bytes(8, "little") + a.tobytes() for a in storages.values())
    return heads + b"\x80\x02" + table + b"." + pickle.dumps(list(storages), 2) + data


def one_tensor(opcodes: bytes) -> bytes:
    return checkpoint(b"}" + atom("w") + opcodes + b"s", {"7": np.arange(6, dtype="<f4")})


def read(folder: Path, data: bytes) -> dict[str, np.ndarray]:
    path = folder / "weights.pth"
    path.write_bytes(data)
    return read_torch_checkpoint(path)


def test_reads_tensors_of_several_types(tmp_path: Path) -> None:
    table = b"ccollections\nOrderedDict\n)R("
    table += atom("weight") + tensor()
    table += (
        atom("steps")
        + tensor(storage=b"ctorch\nLongStorage\n", key="8", count=1, shape=(), strides=())
        + b"u"
    )
    floats, longs = np.arange(6, dtype="<f4") / 3, np.array([12], "<i8")

    found = read(tmp_path, checkpoint(table, {"7": floats, "8": longs}))

    assert list(found) == ["weight", "steps"]
    assert found["weight"].dtype == np.float32
    np.testing.assert_array_equal(found["weight"], floats.reshape(2, 3))
    assert found["steps"].shape == ()
    assert found["steps"].dtype == np.int64
    assert int(found["steps"]) == 12


def test_offset_and_strides_are_honoured(tmp_path: Path) -> None:
    found = read(tmp_path, one_tensor(tensor(offset=1, shape=(2, 2), strides=(1, 2))))
    np.testing.assert_array_equal(found["w"], [[1, 3], [2, 4]])


def test_arrays_are_read_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        read(tmp_path, one_tensor(tensor()))["w"][0, 0] = 1


def test_a_tensor_of_absurd_size_costs_no_memory(tmp_path: Path) -> None:
    found = read(tmp_path, one_tensor(tensor(shape=(1 << 40,), strides=(0,))))
    assert found["w"].base is not None


class Shell:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("place", ["first", "table", "tensor", "keys"])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path, place: str) -> None:
    proof = tmp_path / "owned"
    attack = pickle.dumps(Shell(f"touch {proof}"), 2)
    good = one_tensor(tensor())
    data = {
        "first": attack,
        "table": checkpoint(attack[2:-1], {}),
        "tensor": one_tensor(attack[2:-1]),
        "keys": good[: good.index(pickle.dumps(["7"], 2))] + attack,
    }[place]
    with pytest.raises(UnusableInput, match=r"weights\.pth: refused: it asks for \w+\.system"):
        read(tmp_path, data)
    assert not proof.exists()


@pytest.mark.parametrize(
    "name",
    [
        b"cbuiltins\neval\n",
        b"cbuiltins\ngetattr\n",
        b"ctorch\nload\n",
        b"ctorch\nFloatStorage.frombuffer\n",
        b"ccollections\nOrderedDict.fromkeys\n",
        b"cnumpy\nload\n",
    ],
)
def test_every_other_name_is_refused(tmp_path: Path, name: bytes) -> None:
    with pytest.raises(UnusableInput, match="refused: it asks for"):
        read(tmp_path, one_tensor(name))


@pytest.mark.parametrize(
    "opcodes",
    [
        pytest.param(tensor(shape=(2, 4), strides=(4, 1)), id="shape beyond the storage"),
        pytest.param(tensor(offset=5), id="offset beyond the storage"),
        pytest.param(tensor(offset=-1), id="negative offset"),
        pytest.param(tensor(strides=(-3, 1)), id="negative stride"),
        pytest.param(tensor(shape=(2, -3)), id="negative side"),
        pytest.param(tensor(strides=(3,)), id="fewer strides than sides"),
        pytest.param(tensor(count=7), id="longer storage than stored"),
        pytest.param(tensor(key="9"), id="storage that is not there"),
        pytest.param(tensor(view=("7", 0, 3)), id="view of a storage"),
        pytest.param(tensor(storage=atom("<f4")), id="storage without a type"),
        pytest.param(atom(3), id="number for a tensor"),
        pytest.param(atom([1.0, 2.0]), id="list for a tensor"),
        pytest.param(b"r\xff\xff\xff\x7f" + tensor(), id="memo slot beyond all memory"),
        pytest.param(b"X\xff\xff\xff\x7f", id="text longer than the file"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused(tmp_path: Path, opcodes: bytes) -> None:
    with pytest.raises(UnusableInput, match=r"weights\.pth: (is no whole|refused)"):
        read(tmp_path, one_tensor(opcodes))


def test_a_file_cut_anywhere_is_one_clean_error(tmp_path: Path) -> None:
    whole = one_tensor(tensor())
    for length in range(len(whole)):
        with pytest.raises(UnusableInput, match="is no whole PyTorch file"):
            read(tmp_path, whole[:length])


def test_a_damaged_file_never_raises_anything_else(tmp_path: Path) -> None:
    whole = bytearray(one_tensor(tensor()))
    random = np.random.default_rng(5)
    for _ in range(300):
        damaged = bytearray(whole)
        for position in random.integers(len(damaged), size=3):
            damaged[position] = random.integers(256)
        with contextlib.suppress(UnusableInput):
            read(tmp_path, bytes(damaged))


def test_the_newer_zip_format_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableInput, match="newer zip format"):
        read(tmp_path, b"PK\x03\x04 and so on")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableInput, match=r"nowhere\.pth: cannot be read"):
        read_torch_checkpoint(tmp_path / "nowhere.pth")


def test_torch_is_never_imported(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(one_tensor(tensor()))
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from lesionlite_training.torch_checkpoint import read_torch_checkpoint\n"
        "print(read_torch_checkpoint(sys.argv[1])['w'].sum())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "15.0"
