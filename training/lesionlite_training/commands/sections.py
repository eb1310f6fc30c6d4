"""A command whose help shows its options in sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click


class SectionedCommand(click.Command):
    """A command with many options.

    Args:
        sections: the names of the parameters below each heading, in order; what stands nowhere is
            shown last, below ``Other``.
        settings: of `click.Command`.
    """

    def __init__(self, *, sections: Mapping[str, Sequence[str]], **settings: Any) -> None:
        super().__init__(**settings)
        self.sections = sections

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections in the place of one list of options."""
        records = {
            parameter.name: record
            for parameter in self.get_params(ctx)
            if (record := parameter.get_help_record(ctx)) is not None
        }
        rows = {
            heading: [records.pop(n) for n in names] for heading, names in self.sections.items()
        }
        for heading, found in {**rows, "Other": list(records.values())}.items():
            if found:
                with formatter.section(heading):
                    formatter.write_dl(found)
