"""What the docs show must exist: commands, options, files, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lesionlite_runtime.cli import ROUTES, cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("samples/**/*.md")])


def shown_commands() -> Iterator[tuple[str, str]]:
    """(page, command line) of every ``lesionlite ...`` line in a code block."""
    for page in PAGES:
        for block in re.findall(r"```[a-z]*\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith(("lesionlite ", "$ lesionlite ")):
                    yield page.name, line.removeprefix("$ ").partition("  #")[0]


@pytest.mark.parametrize(("page", "line"), sorted(set(shown_commands())))
def test_a_command_in_the_docs_parses(page: str, line: str) -> None:
    _, *arguments = shlex.split(re.split(r" [|>] ", line)[0])
    if not arguments or arguments[0].startswith("-"):
        return
    pytest.importorskip("rich", reason="a command of an extra is only there with the extra")
    context = click.Context(cli)
    command = cli.get_command(context, arguments[0])
    assert command is not None
    rest = arguments[1:]
    if isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        inner = command.get_command(context, rest[0])
        assert inner is not None
        command, rest = inner, rest[1:]
    if "--help" not in rest:
        command.make_context(arguments[0], list(rest))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_relative_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("name", ROUTES)
def test_every_command_has_an_example(name: str) -> None:
    pytest.importorskip("rich", reason="a command of an extra is only there with the extra")
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert f"Example: lesionlite {name}" in (command.help or "").replace("\n", " ")
