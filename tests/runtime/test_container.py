"""The contract in and out of files: bit for bit, and nothing behind the model's back."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_runtime import container
from lesionlite_runtime.container import (
    MAX_MEMBER_BYTES,
    MAX_MEMBERS,
    append_members,
    contract_of,
    keras_members,
    read_contract,
    split_members,
    write_keras_contract,
)
from lesionlite_runtime.contract import CONTRACT_MEMBER, MAX_CONTRACT_BYTES, Contract
from lesionlite_runtime.errors import UnusableInput

FLATBUFFER = b"\x10\0\0\0TFL3" + bytes(range(56))
KERAS = {"metadata.json": b"{}", "config.json": b'{"a": 1}', "model.weights.h5": bytes(1000)}


def with_zip(
    prefix: bytes, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED
) -> bytes:
    """``prefix`` with a zip behind it, as any zip tool would make it."""
    stream = io.BytesIO(prefix)
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def refused(data: bytes) -> str:
    """The sentence that ``data`` is refused with."""
    with pytest.raises(UnusableInput) as caught:
        split_members(data, "model.tflite")
    return str(caught.value)


@given(
    st.binary(max_size=200),
    st.dictionaries(
        st.text(st.characters(exclude_characters="\0/\\", exclude_categories=["Cs"]), min_size=1),
        st.binary(max_size=100),
        min_size=1,
        max_size=4,
    ),
)
def test_members_come_back_and_the_prefix_is_untouched(
    tail: bytes, members: dict[str, bytes]
) -> None:
    flatbuffer = FLATBUFFER + tail
    data = append_members(flatbuffer, members)
    assert data.startswith(flatbuffer)
    assert split_members(data) == (flatbuffer, members)
    assert append_members(flatbuffer, dict(reversed(members.items()))) == data


def test_the_zip_is_one_that_every_tool_reads() -> None:
    data = append_members(FLATBUFFER, {"b": b"2", "a": b"1"})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a", "b"]
        first, second = archive.infolist()
        assert first.header_offset == len(FLATBUFFER)
        for entry in (first, second):
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.compress_type == zipfile.ZIP_STORED
            assert (entry.create_system, entry.external_attr >> 16) == (3, 0o100644)


def test_a_model_without_a_zip_has_no_members() -> None:
    assert split_members(FLATBUFFER) == (FLATBUFFER, {})


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0\0\0\0TFL2" + bytes(40), b"%PDF-1.7" * 9])
def test_what_is_no_tflite_is_refused(data: bytes) -> None:
    assert "this is no TFLite model" in refused(data)


@pytest.mark.parametrize("cut", [1, 10, 22, 30, 60])
def test_a_tail_cut_off_loses_the_contract_and_so_the_model(tiny_classifier: Any, cut: int) -> None:
    data = tiny_classifier.file()[:-cut]
    _, members = split_members(data)
    with pytest.raises(UnusableInput, match=r"carries no contract .*, or was cut off at its end"):
        contract_of(members, "model.tflite")


def test_a_member_that_stands_twice_is_refused(tiny_classifier: Any) -> None:
    data = tiny_classifier.file()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile's: Duplicate name
        twice = with_zip(data, {CONTRACT_MEMBER: b"{}"})
    assert "the zip at the end of the model is damaged" in refused(twice)


def test_a_second_zip_behind_the_first_changes_the_prefix(tiny_classifier: Any) -> None:
    data = tiny_classifier.file()
    alone = append_members(b"", {CONTRACT_MEMBER: b"{}"})
    flatbuffer, _ = split_members(data + alone)
    assert flatbuffer == data  # and so its digest is another than the contract's


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_member_is_refused(compression: int) -> None:
    data = with_zip(FLATBUFFER, {CONTRACT_MEMBER: b"{}" * 50}, compression)
    assert "is damaged" in refused(data)


def test_a_zip_bomb_is_refused_before_it_unpacks(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = with_zip(FLATBUFFER, {"labels.txt": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 20_000

    def unpack(*_: object) -> bytes:
        raise AssertionError("it was unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "open", unpack)
    assert "is damaged" in refused(bomb)


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(append_members(FLATBUFFER, {CONTRACT_MEMBER: b"{}"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    assert "is damaged" in refused(bytes(data))


def test_members_over_their_limits_are_refused() -> None:
    append = append_members
    assert "is damaged" in refused(
        append(FLATBUFFER, {CONTRACT_MEMBER: bytes(MAX_CONTRACT_BYTES + 1)})
    )
    assert "is damaged" in refused(append(FLATBUFFER, {"labels.txt": bytes(MAX_MEMBER_BYTES + 1)}))
    many = {str(i): b"" for i in range(MAX_MEMBERS + 1)}
    assert "is damaged" in refused(append(FLATBUFFER, many))
    assert "is damaged" in refused(append(FLATBUFFER, {}))


def test_members_at_their_limits_are_read() -> None:
    members = {CONTRACT_MEMBER: bytes(MAX_CONTRACT_BYTES)}
    members |= {str(i): b"" for i in range(MAX_MEMBERS - 1)}
    assert split_members(append_members(FLATBUFFER, members)) == (FLATBUFFER, members)


def test_a_member_of_altered_bytes_is_refused() -> None:
    data = append_members(FLATBUFFER, {CONTRACT_MEMBER: b"contract"})
    assert "is damaged" in refused(data.replace(b"contract", b"Contract"))


def central_entry(name: bytes, offset: int) -> bytes:
    """A ZIP64 entry of a central directory that points to ``offset``."""
    extra = struct.pack("<HHQ", 1, 8, offset)
    fields = (b"PK\x01\x02", 45, 45, 0, 0, 0, 0, 0, 0, 0, len(name), len(extra), 0, 0, 0, 0)
    return struct.pack("<4s6H3L5H2L", *fields, 0xFFFFFFFF) + name + extra


def test_an_offset_beyond_every_file_is_refused() -> None:
    data = append_members(FLATBUFFER, {"a": b""})
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    directory = data[start:end] + central_entry(b"b", 2**64 - 1)
    record = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(directory), start, 0)
    assert "is damaged" in refused(data[:start] + directory + record)


def test_a_zip_that_says_it_spans_disks_is_refused() -> None:
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 1, 0, 2)
    record = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 46, len(FLATBUFFER), 0)
    assert "is damaged" in refused(FLATBUFFER + locator + record)


@given(st.binary(max_size=120))
def test_any_bytes_behind_a_model_are_a_zip_or_refused(tail: bytes) -> None:
    for data in (FLATBUFFER + tail, FLATBUFFER + b"PK\x03\x04" + tail + b"PK\x05\x06" + bytes(18)):
        try:
            flatbuffer, members = split_members(data, "model.tflite")
        except UnusableInput:
            continue
        assert data.startswith(flatbuffer)
        assert flatbuffer == data or members


def keras_file(folder: Path, members: dict[str, bytes]) -> Path:
    """A file that is laid out like Keras 3 does it."""
    path = folder / "model.keras"
    path.write_bytes(with_zip(b"", members))
    return path


def test_a_keras_file_takes_a_contract_and_keeps_its_own_members(
    tmp_path: Path, tiny_classifier: Any
) -> None:
    path = keras_file(tmp_path, KERAS)
    contract = Contract.from_bytes(tiny_classifier.contract_bytes())
    write_keras_contract(path, contract)
    assert read_contract(path) == contract
    with zipfile.ZipFile(path) as archive:
        assert {name: archive.read(name) for name in KERAS} == KERAS
        assert archive.namelist() == [*KERAS, CONTRACT_MEMBER]
        assert archive.testzip() is None
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_keras_file_s_contract_is_replaced_not_doubled(
    tmp_path: Path, tiny_classifier: Any
) -> None:
    path = keras_file(tmp_path, KERAS)
    first = Contract.from_bytes(tiny_classifier.contract_bytes())
    body = tiny_classifier.body()
    body["threshold"]["value"] = 0.25
    second = Contract.from_bytes(tiny_classifier.contract_bytes(body))
    write_keras_contract(path, first)
    write_keras_contract(path, second)
    assert read_contract(path) == second
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist().count(CONTRACT_MEMBER) == 1


def test_a_keras_file_is_written_with_the_same_bytes_whenever_it_was_saved(
    tmp_path: Path, tiny_classifier: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = Contract.from_bytes(tiny_classifier.contract_bytes())
    written = []
    for year in (1999, 2020):
        with monkeypatch.context() as patch:
            patch.setattr("time.localtime", lambda *_, y=year: (y, 2, 3, 4, 5, 6, 0, 0, 0))
            path = keras_file(tmp_path, KERAS)
        assert zipfile.ZipFile(path).infolist()[0].date_time[0] == year
        write_keras_contract(path, contract)
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_a_keras_file_without_a_contract_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableInput, match="carries no contract"):
        read_contract(keras_file(tmp_path, KERAS))


def test_a_keras_file_with_two_contracts_is_refused(tiny_classifier: Any) -> None:
    data = with_zip(b"", {**KERAS, CONTRACT_MEMBER: tiny_classifier.contract_bytes()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile's: Duplicate name
        data = with_zip(data, {CONTRACT_MEMBER: b"{}"})
    with pytest.raises(UnusableInput, match="there are two contracts in this file"):
        keras_members(data, "model.keras")


@pytest.mark.parametrize(
    "data",
    [
        b"text",
        with_zip(b"", {"a.txt": b""}),
        with_zip(b"", {**KERAS, CONTRACT_MEMBER: bytes(50)}, zipfile.ZIP_DEFLATED),
        with_zip(b"", {**KERAS, CONTRACT_MEMBER: bytes(MAX_CONTRACT_BYTES + 1)}),
        with_zip(b"", KERAS)[:-5],
    ],
    ids=["text", "another zip", "compressed", "oversized", "cut"],
)
def test_what_is_no_keras_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(data)
    with pytest.raises(UnusableInput, match=r"neither a \.keras nor a \.tflite model"):
        read_contract(path)


def test_the_shipped_model_and_its_origin_agree(shipped_model: Path) -> None:
    exported = read_contract(shipped_model)
    origin = read_contract(shipped_model.parents[3] / "samples" / "lesion.keras")
    assert exported.provenance.network_sha256 == origin.provenance.network_sha256
    assert (exported.input, exported.output) == (origin.input, origin.output)
    assert exported.threshold == origin.threshold
    assert origin.parity is None
    assert origin.provenance.recipe is None
    assert origin.flatbuffer_sha256 is None


def test_writing_the_shipped_file_again_gives_the_same_bytes(shipped_model: Path) -> None:
    data = shipped_model.read_bytes()
    flatbuffer, members = split_members(data)
    contract = container.contract_of(members, None)
    assert append_members(flatbuffer, {**members, CONTRACT_MEMBER: contract.to_bytes()}) == data
