"""The package's own exceptions: one class per exit code, one sentence per fault."""

from __future__ import annotations

import traceback
from os import PathLike, fspath


class LesionliteError(Exception):
    """A fault that is told to the user in one sentence.

    Args:
        problem: what is wrong, in a few words, without a full stop.
        remedy: what the user can do about it, without a full stop.
        file: the file (or other input) that the fault lies in, where there is one.

    ``str()`` of the error is ``FILE: problem; remedy``. The command line prints it behind
    ``lesionlite: `` and exits with ``exit_code``.
    """

    exit_code = 1

    def __init__(
        self, problem: str, remedy: str = "", file: str | PathLike[str] | None = None
    ) -> None:
        self.problem = problem
        self.remedy = remedy
        self.file = None if file is None else fspath(file)
        super().__init__(problem, remedy, self.file)

    def __str__(self) -> str:
        place = "" if self.file is None else f"{printable(self.file)}: "
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{place}{self.problem}{remedy}"

    @property
    def code(self) -> str:
        """The name of the fault's class in JSON, such as ``unusable_input``."""
        return _CODES[type(self).exit_code]


class UsageError(LesionliteError):
    """Wrong usage: an option, an argument or a combination of them."""

    exit_code = 2


class ProofFailed(LesionliteError):
    """A proof failed: the file does not decide like its Keras model."""

    exit_code = 3


class SomeInputsFailed(LesionliteError):
    """Some inputs could not be used; the others were done."""

    exit_code = 4


class UnusableInput(LesionliteError):
    """The input as a whole cannot be used: a model, contract, manifest or image."""

    exit_code = 5


class MissingHere(LesionliteError):
    """Something is missing on this machine: an extra, a backend, a download."""

    exit_code = 6


def forget_locals(error: BaseException) -> None:
    """Let go of what the frames of ``error``'s trace hold, and those of what it came from.

    An error about a photo that is kept would keep the photo's bytes and pixels.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            traceback.clear_frames(one.__traceback__)
            waiting += [one.__cause__, one.__context__]


_CODES = {
    1: "bug",
    2: "wrong_usage",
    3: "proof_failed",
    4: "some_inputs_failed",
    5: "unusable_input",
    6: "missing_here",
}


def printable(text: str) -> str:
    """``text`` on one line: control characters and lone surrogates become escapes.

    File names may hold line breaks, terminal escapes and bytes that are no UTF-8; none of them
    may break a one-line message or reach a terminal.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii")
        for c in text
    )
