"""What is to be said of data sets, as lines and tables for people."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lesionlite_export.manifest import LEAKS_FILE
from lesionlite_runtime.errors import printable
from lesionlite_training.check import EQUAL, NEAR, CheckedSet, Copy, DataCheck
from lesionlite_training.datasets import Fetched
from lesionlite_training.manifest import SplitCount
from lesionlite_training.shared_ids import ID_COLUMNS

if TYPE_CHECKING:
    from rich.table import Table

_WIDE = 160
_SIZES_SHOWN = 3


def count_lines(count: SplitCount, exclude: Sequence[str], keep_leaks: bool) -> Iterator[str]:
    """The counts of a manifest; ``exclude`` names the files beside ``leaks.csv``."""
    files = [*([] if keep_leaks else [LEAKS_FILE]), *map(printable, exclude)]
    left_out = f"; {count.left_out} left out by {' and '.join(files)}" if count.left_out else ""
    yield (
        f"{printable(str(count.path))}: {sum(count.counts.values())} images "
        f"({_counted(count.counts)}){left_out}"
    )
    if count.dropped:
        yield f"  {count.dropped} images of classes that are left out"
    if count.unlisted or count.missing:
        yield f"  {count.unlisted} files without a row, {count.missing} rows without a file"
    if count.described is not None:
        named = f"; licences: {_counted(count.licenses)}" if count.licenses else ""
        yield f"  metadata of {count.described} images{named}"


def fetched_lines(fetched: Fetched, labels: Mapping[str, int]) -> Iterator[str]:
    """The images of each split, and the command that lists them."""
    for split in fetched.splits:
        before = ", was there already" if split.was_there else ""
        yield (
            f"{printable(str(split.folder))}: {sum(split.counts.values())} images "
            f"({_counted(split.counts)}){before}"
        )
    folder = str(fetched.folder)
    words = ["lesionlite", "data", "manifest", folder]
    for name, label in labels.items():
        words += ["--label", f"{name}={label}"]
    yield f"next: {printable(shlex.join([*words, '--out', folder]))}"


def print_check(check: DataCheck) -> None:
    """Print what was found as tables: the sets, and the copies in them."""
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False, width=None if _is_terminal() else _WIDE)
    console.print(_sets_table(check.sets))
    if check.copies:
        console.print(_copies_table(check))
    for kind, words in ((EQUAL, "of equal pixels"), (NEAR, "of near-duplicates")):
        within, across = check.count(kind, False), check.count(kind, True)
        console.print(f"pairs {words}: {within} within a split, {across} across splits")
    if check.shared:
        console.print(_shared_table(check))
    for column in ID_COLUMNS:
        known = sum(column in image.facts for one in check.sets for image in one.manifest.images)
        if known:
            count = sum(shared.column == column for shared in check.shared)
            console.print(f"{column}: known of {known} images, {count} ids in more than one split")


def _sets_table(sets: Sequence[CheckedSet]) -> Table:
    table = _table("split", "images", "labelled 1", "classes", "pixels", "unreadable")
    for one in sets:
        n = len(one.manifest.images)
        shares = {name: f"{count} ({count / n:.1%})" for name, count in one.classes.items()}
        _add(
            table,
            one.split,
            str(n),
            f"{one.manifest.positives} ({one.manifest.positives / n:.1%})",
            "\n".join(f"{name} {share}" for name, share in shares.items()),
            _sizes(one.sizes),
            str(len(one.unreadable)),
        )
    return table


def _copies_table(check: DataCheck) -> Table:
    table = _table("copies", "first", "second", "bits of 256", "note")
    for copy in check.copies:
        _add(
            table,
            copy.kind,
            *(
                f"{check.sets[listed.place].split}: {os.fspath(listed.image.path)}"
                for listed in (copy.first, copy.second)
            ),
            "" if copy.bits is None else str(copy.bits),
            _note(copy),
        )
    return table


def _shared_table(check: DataCheck) -> Table:
    table = _table("column", "id", "images")
    for shared in check.shared:
        counts = (f"{check.sets[place].split} {n}" for place, n in shared.counts.items())
        _add(table, shared.column, shared.value, ", ".join(counts))
    return table


def _note(copy: Copy) -> str:
    notes = [
        "ACROSS SPLITS" if copy.across else "",
        "OTHER LABEL" if copy.contradicts else "",
        "" if copy.turn in (None, "upright") else str(copy.turn),
    ]
    return ", ".join(note for note in notes if note)


def _sizes(sizes: Mapping[tuple[int, int], int]) -> str:
    shown = [f"{w} × {h}: {n}" for (w, h), n in list(sizes.items())[:_SIZES_SHOWN]]
    rest = len(sizes) - len(shown)
    return "\n".join([*shown, *([f"{rest} other sizes"] if rest else [])])


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _add(table: Table, *cells: str) -> None:
    """Add a row of plain text: file names hold no markup and no escapes."""
    from rich.text import Text

    table.add_row(*(Text("\n".join(map(printable, cell.split("\n")))) for cell in cells))


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{printable(name)} {n}" for name, n in counts.items())


def _is_terminal() -> bool:
    return sys.stdout.isatty()
