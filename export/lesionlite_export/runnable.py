"""A file fresh from the converter: whether lesionlite runs all that the network needs."""

from __future__ import annotations

from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_runtime.flatbuffer import Malformed
from lesionlite_runtime.graph import read_graph
from lesionlite_runtime.operators import INPUT_COUNTS, OPERATOR_NAMES
from lesionlite_runtime.soundness import check_sound

_CUSTOM = "CUSTOM"
_LOOPS = frozenset({"WHILE", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"})


def check_operators(flatbuffer: bytes, file: str) -> None:
    """Refuse operators that lesionlite does not run, in the terms of the network.

    Args:
        flatbuffer: as the converter wrote it.
        file: the model that it was made from.

    Raises:
        UnusableInput: when there is one; it names it. Also when the graph cannot be read.
    """
    unknown = _unknown_operators(flatbuffer)
    if unknown:
        loop = " (of a GRU, an LSTM or another loop)" if _LOOPS & set(unknown) else ""
        operators = "operator" if len(unknown) == 1 else "operators"
        raise UnusableInput(
            f"the network needs the {operators} {', '.join(unknown)}{loop}, which lesionlite does "
            "not run",
            "replace that layer" if len(unknown) == 1 else "replace those layers",
            file,
        )
    try:
        read_graph(flatbuffer)
    except Malformed as error:
        raise _refused(error, file) from error


def check_runnable(flatbuffer: bytes, file: str) -> None:
    """Refuse a finished file that the door would not let in.

    Args:
        flatbuffer: without contract and metadata.
        file: the model that it was made from.

    Raises:
        UnusableInput: when the door would refuse it.
    """
    try:
        check_sound(read_graph(flatbuffer), flatbuffer)
    except Malformed as error:
        raise _refused(error, file) from error


def _refused(error: Malformed, file: str) -> UnusableInput:
    return UnusableInput(
        f"lesionlite does not run what the network is converted to ({error})",
        "replace the layer that needs it",
        file,
    )


def _unknown_operators(flatbuffer: bytes) -> list[str]:
    """Names of operators, in all subgraphs, that lesionlite does not run."""
    from ai_edge_litert import schema_py_generated as tfl

    codes = tfl.ModelT.InitFromObj(tfl.Model.GetRootAs(flatbuffer)).operatorCodes or []
    names = [_name(code) for code in codes]
    return sorted({name for name in names if name not in INPUT_COUNTS})


def _name(code: object) -> str:
    number = max(getattr(code, "deprecatedBuiltinCode", 0), getattr(code, "builtinCode", 0))
    if not 0 <= number < len(OPERATOR_NAMES):
        return f"number {number}"
    custom = getattr(code, "customCode", None)
    if OPERATOR_NAMES[number] == _CUSTOM and isinstance(custom, bytes):
        return printable(custom.decode("utf-8", "replace"))
    return OPERATOR_NAMES[number]
