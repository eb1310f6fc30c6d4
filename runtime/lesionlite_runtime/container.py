"""The contract in and out of ``.tflite`` and ``.keras`` files.

A ``.tflite`` is a FlatBuffer; other files that belong to it stand behind it as a zip (the way of
the TFLite Metadata schema), stored uncompressed under fixed dates, so that the same content gives
the same bytes. A ``.keras`` is a zip, to which the contract is one member more.
"""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from lesionlite_runtime.contract import (
    CONTRACT_MEMBER,
    MAX_CONTRACT_BYTES,
    AnyContract,
    Contract,
)
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.files import read_file, whole_file

TFLITE_IDENTIFIER = b"TFL3"
MAX_MEMBERS = 64
MAX_MEMBER_BYTES = 16 << 20
_STAMP = (1980, 1, 1, 0, 0, 0)
# What zipfile raises for damaged archives; RuntimeError for an encrypted member, for one.
_ZIP_FAULTS = (zipfile.BadZipFile, RuntimeError, ValueError, OSError, EOFError, OverflowError)


def append_members(flatbuffer: bytes, members: Mapping[str, bytes]) -> bytes:
    """``flatbuffer`` with ``members`` behind it as a stored zip; the same bytes for the same input.

    The zip's offsets count from the start of the file, as every zip tool expects.
    """
    stream = io.BytesIO(flatbuffer)
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(_zip_info(name), members[name])
    return stream.getvalue()


def split_members(data: bytes, file: str | None = None) -> tuple[bytes, dict[str, bytes]]:
    """A ``.tflite`` file as (FlatBuffer bytes, members of the zip behind it).

    Raises:
        UnusableInput: when ``data`` is no ``.tflite``, or its zip is damaged.
    """
    if len(data) < 8 or data[4:8] != TFLITE_IDENTIFIER:
        raise UnusableInput(
            "this is no TFLite model", "pass a .tflite file that lesionlite exported", file
        )
    damaged = UnusableInput(
        "the zip at the end of the model is damaged", "copy or export the file anew", file
    )
    try:
        if not zipfile.is_zipfile(io.BytesIO(data)):
            return data, {}
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if not 0 < len(entries) <= MAX_MEMBERS:
                raise damaged
            if len({entry.filename for entry in entries}) < len(entries):
                raise damaged
            end = min(entry.header_offset for entry in entries)
            return data[:end], {entry.filename: _member(archive, entry) for entry in entries}
    except _ZIP_FAULTS as error:
        raise damaged from error


def read_contract(path: str | os.PathLike[str]) -> AnyContract:
    """The contract in the ``.keras`` or ``.tflite`` file at ``path``.

    Raises:
        UnusableInput: when the file cannot be read, is neither, or has no valid contract.
    """
    name = os.fspath(path)
    data = read_file(path)
    if data[4:8] == TFLITE_IDENTIFIER:
        return contract_of(split_members(data, name)[1], name)
    return contract_of(keras_members(data, name), name)


def keras_members(data: bytes, file: str | None) -> dict[str, bytes]:
    """The contract member (alone) of a ``.keras`` file's bytes.

    Raises:
        UnusableInput: when ``data`` is no ``.keras`` file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if "config.json" not in names:
                raise zipfile.BadZipFile
            if names.count(CONTRACT_MEMBER) > 1:
                raise UnusableInput(
                    "there are two contracts in this file", "train the model anew", file
                )
            wanted = [i for i in archive.infolist() if i.filename == CONTRACT_MEMBER]
            return {entry.filename: _member(archive, entry) for entry in wanted}
    except _ZIP_FAULTS as error:
        raise UnusableInput(
            "this is neither a .keras nor a .tflite model",
            "pass a file that lesionlite trained or exported",
            file,
        ) from error


def contract_of(members: Mapping[str, bytes], file: str | None) -> AnyContract:
    """The contract among ``members``.

    Raises:
        UnusableInput: when there is none, or it is not valid.
    """
    data = members.get(CONTRACT_MEMBER)
    if data is None:
        raise UnusableInput(
            "the model carries no contract (lesionlite.json), or was cut off at its end",
            "export it with `lesionlite export`, or copy the file anew",
            file,
        )
    return Contract.from_bytes(data, file)


def write_keras_contract(path: Path, contract: Contract) -> None:
    """Put ``contract`` into the ``.keras`` file at ``path``, in place of one that it may hold."""
    with (
        whole_file(path, force=True) as beside,
        zipfile.ZipFile(path) as old,
        zipfile.ZipFile(beside, "w") as new,
    ):
        for entry in old.infolist():
            if entry.filename != CONTRACT_MEMBER:
                entry.date_time = _STAMP
                with old.open(entry) as source, new.open(entry, "w") as target:
                    shutil.copyfileobj(source, target)
        new.writestr(_zip_info(CONTRACT_MEMBER), contract.to_bytes())


def _zip_info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _STAMP)
    info.compress_type = zipfile.ZIP_STORED
    info.create_system = 3
    info.external_attr = 0o100644 << 16
    return info


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    limit = MAX_CONTRACT_BYTES if entry.filename == CONTRACT_MEMBER else MAX_MEMBER_BYTES
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > limit:
        raise zipfile.BadZipFile(entry.filename)
    return archive.read(entry)
