"""The tables of docs/backends.md: one file in every backend, from what `verify --matrix` wrote.

    lesionlite verify samples/lesion.keras lesion.int8.tflite --data isic2017 --matrix \
        --python tflite-runtime=envs/tflite/bin/python --json > int8.json
    python benchmarks/backends.py int8.json --write docs/backends.md

Prints Markdown, for each FILE.json under its name, and with --write puts it between the markers of
that page. Rows that are equal to the bit share a letter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from pages import markdown_table, put, write_option

Json = Mapping[str, Any]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def between(matrix: Json, a: str, b: str) -> Json:
    """The pair of two rows, in either order."""
    return next(pair for pair in matrix["pairs"] if {pair["a"], pair["b"]} == {a, b})


def letters(matrix: Json) -> dict[str, str]:
    """Row to letter, as far as rows have scores."""
    found: dict[str, str] = {}
    firsts: list[Json] = []
    for row in matrix["rows"]:
        if row["status"] != "done":
            continue
        for first in firsts:
            alike = between(matrix, first["name"], row["name"])["bit_equal"]
            if alike and first["n"] == row["n"]:
                found[row["name"]] = found[first["name"]]
                break
        else:
            found[row["name"]] = LETTERS[len(firsts)]
            firsts.append(row)
    return found


def row_table(matrix: Json) -> str:
    """A line a row: kernels, and scores against Keras."""
    group = letters(matrix)
    head = ["row", "version", "kernels", "images", "bit-equal", "max", "mean", "flips"]

    def lines() -> Iterator[list[object]]:
        for row in matrix["rows"]:
            name, version = f"`{row['name']}`", row["version"] or ""
            if row["name"] not in group:
                yield [name, version, f"{row['status']}: {row['reason']}", *[""] * 5]
                continue
            pair = between(matrix, "keras", row["name"])
            yield [
                name,
                version,
                kernels(row),
                row["n"],
                group[row["name"]],
                number(pair["max_difference"]),
                number(pair["mean_difference"]),
                pair["flips"],
            ]

    return markdown_table(head, lines())


def kernels(row: Json) -> str:
    """Who computes, and what the delegate left where it took a part."""
    if row["kernels"] != "mixed":
        return row["kernels"] or "not told"
    left = ", ".join(f"{n} {name}" for name, n in row["left_to_builtin_kernels"].items())
    return f"mixed: {row['delegate_partitions']} pieces, {left} left"


def pair_table(matrix: Json) -> str:
    """A line for any two that are not equal to the bit."""
    first = {letter: name for name, letter in reversed(letters(matrix).items())}
    names = dict(sorted(first.items()))

    def lines() -> Iterator[list[object]]:
        for i, (a, row_a) in enumerate(names.items()):
            for b, row_b in list(names.items())[i + 1 :]:
                pair = between(matrix, row_a, row_b)
                yield [
                    f"{a}, {b}",
                    f"`{row_a}`, `{row_b}`",
                    pair["n"],
                    number(pair["max_difference"]),
                    number(pair["mean_difference"]),
                    pair["flips"],
                ]

    return markdown_table(["", "first rows", "images", "max", "mean", "flips"], lines())


def number(value: float) -> str:
    """Two digits, and plain zero for equal."""
    return "0" if value == 0 else f"{value:.2g}"


@click.command()
@click.argument("files", metavar="FILE.json...", nargs=-1, required=True, type=Path)
@write_option
def command(files: tuple[Path, ...], write: Path | None) -> None:
    """Print the tables of each FILE.json."""
    parts = []
    for file in files:
        matrix = json.loads(file.read_text("utf-8"))
        threshold = f", threshold {matrix['threshold']:.4f}" if matrix["threshold"] else ""
        verdict = "passed" if matrix["passed"] else f"failed: {'; '.join(matrix['failures'])}"
        said = f"Model {matrix['model']}, {matrix['n']} images{threshold}: {verdict}."
        parts.append(f"### `{file.stem}`\n\n{said}\n\n{row_table(matrix)}\n\n{pair_table(matrix)}")
    text = "\n\n".join(parts)
    click.echo(text)
    if write is not None:
        put(write, __file__, text)


if __name__ == "__main__":
    command()
