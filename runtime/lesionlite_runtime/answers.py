"""Answers to questions about a model: given beforehand, said by the model itself, or asked."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from lesionlite_runtime.errors import UsageError, printable

T = TypeVar("T")
NONE = "none"


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        option: the option that answers it.
        text: what a person is asked.
        choices: the answers that there are; empty where there are many.
        default: the answer where none is given.
        words: how many words the option takes.
    """

    option: str
    text: str
    choices: tuple[str, ...] = ()
    default: str | None = None
    words: int = 1


Ask = Callable[[Question, str], str]
"""Asks a person; the text says what was wrong with the answer before, and is empty at first."""


class Answers:
    """The answers to questions, one by one.

    Args:
        given: answers by option, as texts.
        ask: asks for the others; None where nobody can be asked, and defaults must do.
    """

    def __init__(self, given: Mapping[str, str], ask: Ask | None) -> None:
        self._given = given
        self._ask = ask
        self._used: set[str] = set()
        self._missing: list[str] = []

    def get(self, question: Question, read: Callable[[str], T], known: T | None = None) -> T | None:
        """The answer as ``read`` reads it.

        Args:
            question: what to ask.
            read: makes a value of a text; raises ValueError, whose text says what it wants.
            known: what the model says of itself; it is not asked then.

        Returns:
            None where the answer is missing and nobody can be asked: `finish` then refuses.

        Raises:
            UsageError: when a given answer cannot be read, or is not what the model says.
        """
        self._used.add(question.option)
        text = self._given.get(question.option)
        if text is not None:
            answer = self._read_given(question, text, read)
            if known is not None and answer != known:
                raise UsageError(
                    f"--{question.option} says {printable(text)}, and the model {known}",
                    "leave the option out, or name another model",
                )
            return answer
        if known is not None:
            return known
        if self._ask is not None:
            return self._asked(question, read, self._ask)
        if question.default is None:
            self._missing.append(question.option)
            return None
        return read(question.default)

    def finish(self, kind: str) -> None:
        """Refuse answers that are missing, and given ones that models of ``kind`` do not have.

        Raises:
            UsageError: when there are any.
        """
        if self._missing:
            options = ", ".join(f"--{option}" for option in self._missing)
            raise UsageError(
                f"answers are missing: {options}", "pass them, or run the command in a terminal"
            )
        for option in self._given:
            if option not in self._used:
                raise UsageError(f"--{option} is not for a model of {kind}", "leave it out")

    def _asked(self, question: Question, read: Callable[[str], T], ask: Ask) -> T:
        problem = ""
        while True:
            try:
                return _read(question, ask(question, problem), read)
            except ValueError as error:
                problem = str(error)

    def _read_given(self, question: Question, text: str, read: Callable[[str], T]) -> T:
        try:
            return _read(question, text, read)
        except ValueError as error:
            sentence = f"--{question.option} {printable(text)}: {error}"
            raise UsageError(sentence, "correct it") from error


def _read(question: Question, text: str, read: Callable[[str], T]) -> T:
    text = text.strip()
    if question.choices and text not in question.choices:
        near = difflib.get_close_matches(text, question.choices, n=2) or question.choices
        raise ValueError(f"it must be {' or '.join(near)}")
    return read(text)


def a_text(text: str) -> str:
    """``text`` itself, if it is not empty."""
    if not text:
        raise ValueError("it must not be empty")
    return text


def a_number(text: str) -> float:
    """A finite number."""
    return numbers(1)(text)[0]


def numbers(n: int) -> Callable[[str], tuple[float, ...]]:
    """Reads ``n`` finite numbers with spaces or commas between them."""

    def read(text: str) -> tuple[float, ...]:
        try:
            found = tuple(float(part) for part in text.replace(",", " ").split())
        except ValueError:
            found = ()
        if len(found) != n or not all(math.isfinite(number) for number in found):
            raise ValueError("it must be a number" if n == 1 else f"it must be {n} numbers")
        return found

    return read


def whole_numbers(n: int) -> Callable[[str], tuple[int, ...]]:
    """Reads ``n`` whole numbers over 0 with spaces or commas between them."""

    def read(text: str) -> tuple[int, ...]:
        parts = text.replace(",", " ").split()
        if len(parts) != n or not all(part.isdecimal() and int(part) for part in parts):
            raise ValueError(f"it must be {n} whole numbers over 0")
        return tuple(int(part) for part in parts)

    return read


def a_list(text: str) -> tuple[str, ...]:
    """Texts with commas between them."""
    found = tuple(part.strip() for part in text.split(","))
    if not all(found) or len(set(found)) < len(found):
        raise ValueError("it must be different words with commas between them")
    return found


def pairs(text: str) -> dict[str, str]:
    """Texts ``NAME=VALUE`` with commas between them."""
    found = {}
    for part in a_list(text):
        name, _, value = part.rpartition("=")
        if not name or not value or name in found:
            raise ValueError("it must be CLASS=LABEL, each class once, with commas between them")
        found[name] = value
    return found


def scores_chosen_on(text: str) -> dict[str, Any]:
    """``KIND N POSITIVES`` as a contract's ``chosen_on``."""
    kind, *counts = text.split()
    if len(counts) != 2 or not all(count.isdecimal() for count in counts):
        raise ValueError("it must be a word and two whole numbers, such as validation 150 30")
    return {"kind": kind, "n": int(counts[0]), "positives": int(counts[1])}


def or_none(read: Callable[[str], T]) -> Callable[[str], T | None]:
    """Reads ``none`` as None, and anything else by ``read``."""
    return lambda text: None if text == NONE else read(text)


def checked(read: Callable[[str], T], fault: Callable[[T], str]) -> Callable[[str], T]:
    """Reads by ``read``; ``fault`` says what is wrong with the value, and nothing where it fits."""

    def read_checked(text: str) -> T:
        value = read(text)
        problem = fault(value)
        if problem:
            raise ValueError(problem)
        return value

    return read_checked
