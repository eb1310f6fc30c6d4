"""Reading PyTorch's legacy ``.pth`` files with NumPy alone.

A ``.pth`` file is a pickle, and a pickle is a program: loading one from a stranger runs the
stranger's code. Only what a table of tensors needs is let through here; PyTorch is never imported.

The legacy layout: five pickles (magic number, protocol version, system information, the table of
tensors, the keys of the storages), then for each key, in that order, the number of elements as a
little-endian int64 and the elements themselves.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lesionlite_runtime.errors import UnusableInput

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MAX_BYTES = 1 << 30
_REMEDY = "install again the package that it came from"
_DTYPES = {
    "HalfStorage": np.dtype("<f2"),
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "IntStorage": np.dtype("<i4"),
    "LongStorage": np.dtype("<i8"),
}


class _Storage(NamedTuple):
    """A promise of ``length`` elements, which the file brings after its pickles."""

    dtype: np.dtype[Any]
    key: str
    length: int


class _Tensor(NamedTuple):
    """A view into a storage, in elements; nothing in it is checked yet."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a legacy ``.pth`` file that holds a ``state_dict``.

    Returns:
        Name to array, in the file's order. An array has the tensor's shape, is float16, float32,
        float64, int32 or int64, and is a read-only view into one buffer.

    Raises:
        UnusableInput: the file cannot be read, is no legacy ``.pth``, is cut short, or asks for
            anything but tensors.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UnusableInput("larger than any PyTorch file expected here", _REMEDY, path)
        data = path.read_bytes()
    except OSError as fault:
        raise UnusableInput(f"cannot be read ({fault.strerror})", _REMEDY, path) from fault
    if data.startswith(b"PK"):
        raise UnusableInput(
            "is in PyTorch's newer zip format",
            "save it with torch.save(..., _use_new_zipfile_serialization=False)",
            path,
        )
    try:
        return _tensors(data)
    except _NotAllowedError as fault:
        raise UnusableInput(f"refused: {fault}", _REMEDY, path) from fault
    except Exception as fault:
        # A damaged pickle may raise nearly any exception: Python's documentation says so.
        raise UnusableInput(
            "is no whole PyTorch file in the legacy format", _REMEDY, path
        ) from fault


def _tensors(data: bytes) -> dict[str, np.ndarray]:
    stream = io.BytesIO(data)
    if _load(stream) != _MAGIC or _load(stream) != _PROTOCOL:
        raise ValueError("magic number or protocol version")
    if _load(stream)["little_endian"] is not True:
        raise ValueError("big-endian file")
    table = _load(stream)
    keys = _load(stream)
    buffers = _buffers(data, stream.tell(), keys, _storages(table))
    return {name: _array(tensor, buffers) for name, tensor in table.items()}


def _storages(table: object) -> dict[str, _Storage]:
    if not isinstance(table, dict):
        raise TypeError("no table of tensors")
    found: dict[str, _Storage] = {}
    for name, tensor in table.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise _NotAllowedError("it holds something else than named tensors")
        storage = tensor.storage
        if not isinstance(storage, _Storage) or found.setdefault(storage.key, storage) != storage:
            raise ValueError("storages that contradict each other")
    return found


def _buffers(
    data: bytes, position: int, keys: list[str], storages: dict[str, _Storage]
) -> dict[str, memoryview]:
    """The bytes of each storage; every one must lie whole within the file."""
    buffers: dict[str, memoryview] = {}
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(data[position : position + 8], "little", signed=True)
        start = position + 8
        position = start + count * storage.dtype.itemsize
        if count != storage.length or not start <= position <= len(data):
            raise ValueError("a storage is cut short")
        buffers[key] = memoryview(data)[start:position]
    return buffers


def _array(tensor: _Tensor, buffers: dict[str, memoryview]) -> np.ndarray:
    dtype = tensor.storage.dtype
    # NumPy checks shape, offset and strides against the buffer, and a view costs no memory, so
    # that a tensor with huge sides and zero strides does no harm either.
    return np.ndarray(
        shape=tensor.shape,
        dtype=dtype,
        buffer=buffers[tensor.storage.key],
        offset=tensor.offset * dtype.itemsize,
        strides=tuple(stride * dtype.itemsize for stride in tensor.strides),
    )


class _NotAllowedError(Exception):
    """The pickle asks for something that a table of tensors does not need."""


def _load(stream: io.BytesIO) -> Any:
    """The object of the next pickle in ``stream``, which moves behind it."""
    start = stream.tell()
    # The unpickler allocates memory for whatever slot of its memo a pickle names: without this
    # look ahead, ten bytes could ask for 64 GB. genops() also finds arguments that are cut short.
    for opcode, argument, position in pickletools.genops(stream):
        if "PUT" in opcode.name and not 0 <= int(argument or 0) <= (position or 0):
            raise ValueError("memo slot out of range")
    stream.seek(start)
    return _TensorUnpickler(stream).load()


class _TensorUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise _NotAllowedError(f"it asks for {module}.{name}, and only tensors are read")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _device, count, view = pid
        if kind != "storage" or view is not None or not isinstance(dtype, np.dtype):
            raise _NotAllowedError("it refers to something else than a whole storage")
        if not isinstance(key, str) or not isinstance(count, int):
            raise _NotAllowedError("it names a storage by something else than key and length")
        return _Storage(dtype, key, count)


def _rebuild_tensor(
    storage: _Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    _requires_grad: bool,
    _hooks: object,
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)
