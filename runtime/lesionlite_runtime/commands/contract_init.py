"""``lesionlite contract init``: the questions that make a draft."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lesionlite_runtime.answers import Question
from lesionlite_runtime.draft import AnyDraft
from lesionlite_runtime.draft_fields import VALUES
from lesionlite_runtime.errors import printable
from lesionlite_runtime.files import check_output_path, write_whole
from lesionlite_runtime.interview import QUESTIONS, RANGE, X_RANGE, interview
from lesionlite_runtime.model_facts import ModelFacts, check_served, read_facts


def _answer_options(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each question."""
    score_of = Question("score-of", "The label that a high score speaks for")
    values = Question("values", "What its outputs are", VALUES)
    for question in reversed((*QUESTIONS, score_of, values)):
        if question is X_RANGE:
            continue
        text = question.text
        if question is RANGE:
            text += f"; of a regression: {X_RANGE.text[0].lower()}{X_RANGE.text[1:]}"
        if question.choices:
            text += f": {', '.join(question.choices)}"
        option = click.option(
            f"--{question.option}",
            nargs=question.words,
            metavar=" ".join(["TEXT"] * question.words),
            help=f"{text}.",
        )
        command = option(command)
    return command


@click.command("init")
@click.argument("model", type=click.Path(path_type=Path), required=False)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="Path of the draft, a JSON."
)
@_answer_options
@click.option(
    "--ask/--no-ask", default=None, help="Ask for what is missing; by default in a terminal alone."
)
@click.option("--force", is_flag=True, help="Overwrite what lies at --out.")
def command(model: Path | None, out: Path, ask: bool | None, force: bool, **given: Any) -> None:
    """Ask the few questions that make the draft of a contract.

    A draft says what only the maker of a model knows; `lesionlite export MODEL --contract DRAFT`
    and `lesionlite contract attach` make the contract of it. MODEL is a .keras, .h5 or .tflite
    file or the folder of a SavedModel: what it says of itself is not asked. Every answer may be
    given as an option.

    Example: lesionlite contract init their.keras --out contract.json
    """
    check_output_path(out, force)
    facts = None if model is None else read_facts(model)
    if model is not None and facts is not None:
        check_served(facts, model)
        click.echo(f"{'model':<11}{_facts_text(model, facts)}", err=True)
    answers = {
        name.replace("_", "-"): text if isinstance(text, str) else " ".join(text)
        for name, text in given.items()
        if text
    }
    asked = sys.stdin.isatty() if ask is None else ask
    name = "model" if model is None else model.stem
    draft = interview(answers, facts, _ask if asked else None, name)
    write_whole(out, draft.to_bytes(), force)
    click.echo(f"{'written':<11}{printable(str(out))}, the draft of a {draft.task}")
    click.echo(f"{'next':<11}{_next(draft, model, out)}")


def _ask(question: Question, problem: str) -> str:
    if problem:
        click.echo(f"  {problem}", err=True)
    text = question.text + (f" ({', '.join(question.choices)})" if question.choices else "")
    answer: str = click.prompt(text, default=question.default, type=str, err=True)
    return answer


def _facts_text(model: Path, facts: ModelFacts) -> str:
    known = []
    if facts.input_shape is not None:
        sides = ", ".join("any" if side is None else str(side) for side in facts.input_shape)
        known.append(f"takes {facts.input_dtype or 'numbers'} [{sides}]")
    if facts.units is not None:
        known.append(f"gives {facts.units}")
    if facts.activation is not None:
        known.append(f"ends in {facts.activation}")
    said = ", ".join(known) or "says nothing of its input and outputs"
    return printable(f"{model}, {facts.kind}: {said}")


def _next(draft: AnyDraft, model: Path | None, out: Path) -> str:
    data = "" if draft.task == "regression" else " --data FOLDER"
    file = "MODEL" if model is None else str(model)
    return printable(f"lesionlite export {file} --contract {out}{data} --out model.tflite")
