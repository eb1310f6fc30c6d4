"""The options of fine-tuning, each a field of `FineTuning`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from lesionlite_runtime.errors import UsageError
from lesionlite_training.augment import PRESETS
from lesionlite_training.configuration import CHOICES, FineTuning, Stage

NONE, HEAD, ALL = "none", "head", "all"
_FIELDS: dict[str, tuple[Any, str]] = {
    "augmentation": (
        click.Choice(list(PRESETS)),
        "How images are changed at each showing; a head alone takes none or flips (its default).",
    ),
    "validation": (
        float,
        "Share of the training images that is held back to judge the epochs: the best one is kept.",
    ),
    "patience": (
        int,
        "Epochs without a lower validation loss after which training stops; 0 for no stopping.",
    ),
    "batch": (int, "Images in a step."),
    "learning_rate": (float, "Learning rate at its highest."),
    "warmup_steps": (int, "Steps over which the learning rate rises from 0."),
    "schedule": (
        click.Choice(CHOICES["schedule"]),
        "Course of the learning rate: to 0 at the last step, or level.",
    ),
    "optimizer": (click.Choice(CHOICES["optimizer"]), "What makes the steps."),
    "weight_decay": (float, "Decoupled weight decay, of kernels alone."),
    "ema": (float, "Momentum of the moving average of the weights, which is kept; 0 for none."),
    "loss": (click.Choice(CHOICES["loss"]), "What is made small."),
    "label_smoothing": (float, "Share of each target that is spread over all of them."),
    "distillation": (
        float,
        "Share of each target that is what a teacher, trained likewise before, says in 8 views.",
    ),
    "class_weights": (
        click.Choice(CHOICES["class_weights"]),
        "Weight of an image by its class's count n: 1, n^-1/2 or 1/n.",
    ),
    "targets": (
        click.Choice(CHOICES["targets"]),
        "One sigmoid for the label, or a softmax over the classes.",
    ),
    "head_start": (
        click.Choice(CHOICES["head_start"]),
        "Where the head starts from: the one fitted on frozen features, or random weights.",
    ),
    "head_norm": (
        click.Choice(CHOICES["head_norm"]),
        "What stands between features and head in training: nothing, or batch-norm.",
    ),
    "dropout": (float, "Share of the features that a step of training leaves out."),
    "batch_norm": (
        click.Choice(CHOICES["batch_norm"]),
        "Whether batch-norm layers of what is trained go on learning.",
    ),
}
TUNING_OPTIONS = ("fine_tune", "epochs", *_FIELDS)
"""The parameters that `tuning_options` adds, as the help shows them."""


def tuning_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a command with ``--fine-tune``, ``--epochs`` and an option for each field."""
    for name, (kind, text) in reversed(_FIELDS.items()):
        default = getattr(FineTuning, name)
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, type=kind, help=f"{text} By default {default}.")(command)
    command = click.option(
        "--epochs",
        type=click.IntRange(1),
        help="Passes over the training images, at the network's own size. By default "
        f"{FineTuning().epochs}.",
    )(command)
    return click.option(
        "--fine-tune",
        metavar="none|head|N|all",
        help="What gradient descent trains: nothing (none, the default: the head is fitted on "
        "frozen features), the head on frozen features, the backbone's last N blocks as well, or "
        "all of it. What follows is for it alone.",
    )(command)


def chosen_tuning(configured: FineTuning | None, chosen: dict[str, Any]) -> FineTuning | None:
    """The configuration's tuning, or the default, with the options given in its place.

    Args:
        configured: of the configuration file; None for no fine-tuning.
        chosen: the options by parameter name; they are not changed.

    Raises:
        UsageError: when ``--fine-tune`` is no such value, or another option is given without it.
    """
    given = {name: chosen[name] for name in _FIELDS if chosen[name] is not None}
    if chosen["epochs"] is not None:
        given["stages"] = (Stage(chosen["epochs"]),)
    wanted = chosen["fine_tune"]
    if (wanted is None and configured is None) or wanted == NONE:
        if given:
            name = next(iter(given)).replace("_", "-").replace("stages", "epochs")
            raise UsageError(f"--{name} is for fine-tuning", "pass --fine-tune, or leave it out")
        return None
    if wanted is not None:
        given["blocks"] = _blocks(wanted)
    base = configured or FineTuning()
    head_alone = given.get("blocks", base.blocks) == 0
    if head_alone and configured is None and "augmentation" not in given:
        given["augmentation"] = "flips"
    return replace(base, **given)


def _blocks(text: str) -> int | None:
    if text in (HEAD, ALL):
        return 0 if text == HEAD else None
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise UsageError(
            f"there is nothing called {text!r} to fine-tune", "pass none, head, all or a number"
        )
    return int(text)
