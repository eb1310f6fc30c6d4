"""Pages of the docs that a benchmark writes into: its table stands between two markers.

    <!-- benchmarks/backbones.py -->
    ...
    <!-- end -->

A benchmark with several tables tells them apart by a word behind its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

END = "<!-- end -->"

write_option = click.option(
    "--write", type=click.Path(path_type=Path), help="Page to put what is printed into."
)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table, without a line break at its end."""

    def lines() -> Iterator[str]:
        yield _line(head)
        yield f"|{'---|' * len(head)}"
        for row in rows:
            yield _line(row)

    return "\n".join(lines())


def put(page: Path, benchmark: str, text: str, part: str = "") -> None:
    """Write ``text`` between the markers of ``benchmark``, its ``__file__``, and change no more.

    Raises:
        click.ClickException: when the page does not have the markers once, one after the other.
    """
    begin = f"<!-- benchmarks/{Path(benchmark).name}{' ' * bool(part)}{part} -->"
    old = page.read_text("utf-8")
    before, found, rest = old.partition(begin)
    _, end, after = rest.partition(END)
    if not found or not end or begin in rest:
        raise click.ClickException(f"{page} does not have {begin} and {END} behind it once")
    page.write_text(f"{before}{begin}\n{text}\n{END}{after}", "utf-8")


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
