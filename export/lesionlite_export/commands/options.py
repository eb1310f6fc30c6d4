"""Options that the export commands share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from lesionlite_runtime.errors import UsageError

limits_option = click.option(
    "--limits",
    metavar="NAME=VALUE",
    multiple=True,
    help="Limit of the gate, over the default; `none` takes it away. Several by commas. Names: "
    "flip_rate, newly_missed_rate, auc_difference, mean_score_error, max_score_error; of a "
    "regression: max_relative_error, mean_relative_error, max_absolute_error, mean_absolute_error.",
)
label_option = click.option(
    "--label",
    "labels",
    metavar="CLASS=0|1",
    multiple=True,
    help="Label of a class folder, by its index. By default the classes are those of the model's "
    "contract.",
)
contract_option = click.option(
    "--contract",
    "draft_path",
    type=click.Path(path_type=Path),
    help="Draft of the contract of a model that lesionlite did not train (docs/bring-your-own.md).",
)
allow_code_option = click.option(
    "--allow-code", is_flag=True, help="Run the code of Lambda layers in MODEL: it may do anything."
)
force_option = click.option("--force", is_flag=True, help="Overwrite what lies at the output path.")
seed_option = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the sample."
)
path_type = click.Path(path_type=Path)


def parse_labels(texts: tuple[str, ...], *, binary: bool = True) -> Mapping[str, int]:
    """The label map of texts such as ``CLASS=0`` and ``CLASS=1``.

    Args:
        texts: as they were given.
        binary: whether 0 and 1 are the only labels; else a model's labels say what more there is.

    Raises:
        UsageError: when a text is not of that form, or a class stands there twice.
    """
    labels: dict[str, int] = {}
    for text in texts:
        name, _, label = text.rpartition("=")
        known = label in ("0", "1") if binary else label.isascii() and label.isdecimal()
        if not name or not known:
            raise UsageError(f"--label {text} is not of the form CLASS=0 or CLASS=1", "correct it")
        if name in labels:
            raise UsageError(f"--label gives {name} twice", "leave one out")
        labels[name] = int(label)
    return labels
