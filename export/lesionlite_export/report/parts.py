"""What a page is made of: sections of terms, sentences, tables and pictures."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lesionlite_export.pictures.catalogue import Picture
from lesionlite_export.pictures.style import DPI

Cells = Sequence[str]
_NAME_WIDTH = 10


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        caption: what it is.
        columns: heads.
        rows: a cell a column.
        numbers: places of the columns of numbers.
        marked: places of the rows that are wrong.
        noted: places of the rows that stand out otherwise.
    """

    caption: str
    columns: Cells
    rows: Sequence[Cells]
    numbers: frozenset[int] = frozenset()
    marked: frozenset[int] = frozenset()
    noted: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Shown:
    """A picture as a page holds it; ``width`` and ``height`` in CSS pixels, 96 to the inch."""

    title: str
    words: str
    address: str
    width: int
    height: int


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading.

    Attributes:
        anchor: its name in links.
        title: its heading.
        terms: names and what they are.
        sentences: a paragraph each.
        tables: in order.
        pictures: in order.
        lines: text that is set as it is.
        warns: whether it stands out.
    """

    anchor: str
    title: str
    terms: Sequence[tuple[str, str]] = ()
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Shown] = ()
    lines: Sequence[str] = ()
    warns: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing below its heading."""
        return not (self.terms or self.sentences or self.tables or self.pictures or self.lines)


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        title: of the page.
        passed: the verdict.
        verdict: in words.
        reasons: why it failed, and what else to know of the verdict, a sentence each.
        facts: the main figures, each with what it is.
        sections: in order.
    """

    title: str
    passed: bool
    verdict: str
    reasons: Sequence[str]
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]


def terms_of(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Lines of the text output, a name of ten characters and a text, as terms.

    The name of what belongs to the line before is empty.
    """
    for line in lines:
        yield line[:_NAME_WIDTH].strip(), line[_NAME_WIDTH:].strip()


def shown(picture: Picture) -> Shown:
    """``picture`` within the page itself."""
    data = picture.png
    width, height = struct.unpack(">II", data[16:24])  # of the PNG's first chunk
    address = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
    width, height = (round(96 * side / DPI) for side in (width, height))
    return Shown(picture.title, picture.words, address, width, height)
