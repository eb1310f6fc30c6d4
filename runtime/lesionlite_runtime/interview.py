"""The questions that make a draft: what the model does not say of itself, and no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lesionlite_runtime.answers import (
    NONE,
    Answers,
    Ask,
    Question,
    a_list,
    a_number,
    a_text,
    checked,
    numbers,
    or_none,
    pairs,
    scores_chosen_on,
    whole_numbers,
)
from lesionlite_runtime.contract import CLASSIFICATION, LABELS, REGRESSION
from lesionlite_runtime.draft import DRAFT_SCHEMA, AnyDraft, draft_of_json
from lesionlite_runtime.draft_fields import SIGMOID, SIGMOID_LOGITS, VALUES
from lesionlite_runtime.errors import UnusableInput, UsageError, printable
from lesionlite_runtime.model_facts import ModelFacts
from lesionlite_runtime.resize import RESIZE_METHODS

PIXELS_AS_THEY_ARE = (0.0, 255.0)
NAME = Question("name", "Name of the network")
TASK = Question("task", "What it is", (CLASSIFICATION, LABELS, REGRESSION))
X_RANGE = Question(
    "value-range", "Lowest and highest x that it is made for, such as -20 20", words=2
)
UNIT = Question("unit", "Unit of y", default=NONE)
SIZE = Question("size", "Height and width of its images in pixels, such as 224 224", words=2)
RANGE = Question(
    "value-range",
    "What pixels of 0 and 255 become before they enter it: 0 1, -1 1 or 0 255, say",
    words=2,
)
MEAN = Question(
    "mean", "Mean then taken from each channel, such as 0.485 0.456 0.406", default=NONE, words=3
)
STD = Question(
    "std",
    "Deviation then divided by for each channel, such as 0.229 0.224 0.225",
    default=NONE,
    words=3,
)
COLOR = Question("color", "Order of the channels", ("RGB", "BGR"), "RGB")
RESIZE = Question("resize", "How photos were resized in training (docs/pixels.md)", RESIZE_METHODS)
UNITS = Question("units", "How many numbers it gives for an image", ("1", "2"))
LABEL_LIST = Question(
    "labels", "Labels in the order of its outputs, with commas (one number is of the second label)"
)
CLASSES = Question(
    "classes",
    "Class folders of your data, CLASS=LABEL with commas; none: named by the labels",
    default=NONE,
)
THRESHOLD = Question("threshold", "Score from which on to refer, 0 to 1")
RULE = Question("rule", "Rule that the threshold was chosen by, such as sensitivity=0.90")
CHOSEN_ON = Question(
    "chosen-on",
    "Scores that it was chosen on, such as validation 150 30; none: not known",
    default=NONE,
    words=3,
)
QUESTIONS = (
    TASK, NAME, SIZE, RANGE, MEAN, STD, COLOR, RESIZE, UNITS, LABEL_LIST, CLASSES, THRESHOLD, RULE,
    CHOSEN_ON, UNIT,
)  # fmt: skip
"""Every question whose text does not depend on the model, two of them about ``value-range``."""


def interview(
    given: Mapping[str, str], facts: ModelFacts | None, ask: Ask | None, name: str
) -> AnyDraft:
    """The draft that the answers make.

    Args:
        given: answers that are there already, by option.
        facts: what the model says of itself; None where no model is at hand.
        ask: asks for the others; None where nobody can be asked.
        name: what the network is called unless an answer says otherwise.

    Raises:
        UsageError: when an answer is missing, cannot be read, or contradicts another or the model.
    """
    answers, facts = Answers(given, ask), facts or ModelFacts("model")
    task = answers.get(TASK, str, _task(facts))
    body: dict[str, Any] = {"schema": DRAFT_SCHEMA, "task": task}
    body["name"] = answers.get(Question(NAME.option, NAME.text, default=name), a_text)
    if task == REGRESSION:
        body["input"] = {"range": answers.get(X_RANGE, _low_and_high)}
        body["output"] = {"unit": answers.get(UNIT, or_none(str)) or ""}
    elif task is not None:
        body["input"] = _image(answers, facts)
        body["output"] = _output(answers, facts, task)
        if task == CLASSIFICATION:
            body["threshold"] = _threshold(answers)
    answers.finish(str(task))
    try:
        return draft_of_json(_as_json(body), None)
    except UnusableInput as error:
        raise UsageError(error.problem, "correct the answer") from error


def _task(facts: ModelFacts) -> str | None:
    if facts.input_shape is None:
        return None
    if len(facts.input_shape) != 3:
        return REGRESSION
    if facts.units is None:
        return None
    return CLASSIFICATION if facts.units <= 2 else LABELS


def _image(answers: Answers, facts: ModelFacts) -> dict[str, Any]:
    sides = facts.input_shape[:2] if facts.input_shape is not None else (None,)
    fixed = tuple(side for side in sides if side is not None)
    height, width = answers.get(SIZE, whole_numbers(2), fixed or None) or (0, 0)
    text = RANGE.text
    if facts.scaling is not None:
        text += f" (it begins with a {facts.scaling} layer of its own)"
    as_they_are = PIXELS_AS_THEY_ARE if facts.input_dtype == "uint8" else None
    image: dict[str, Any] = {
        "shape": (1, height, width, 3),
        "range": answers.get(Question(RANGE.option, text), _low_and_high, as_they_are),
    }
    if as_they_are is None:
        image["mean"] = answers.get(MEAN, or_none(numbers(3)))
        image["std"] = answers.get(STD, or_none(_deviations))
    image["color"] = answers.get(COLOR, str)
    image["resize"] = answers.get(RESIZE, str)
    return image


def _output(answers: Answers, facts: ModelFacts, task: str) -> dict[str, Any]:
    output: dict[str, Any] = {}
    if task == CLASSIFICATION:
        output["units"] = answers.get(UNITS, int, facts.units)
    wanted = 2 if task == CLASSIFICATION else facts.units
    labels = answers.get(LABEL_LIST, _labels(wanted)) or ()
    output["labels"] = labels
    if task == CLASSIFICATION and labels:
        text = "The label that a high score speaks for"
        output["score_of"] = answers.get(Question("score-of", text, labels, labels[-1]), str)
    output["values"] = _values(answers, facts, output.get("units"))
    output["classes"] = answers.get(CLASSES, or_none(_classes(labels)))
    return output


def _values(answers: Answers, facts: ModelFacts, units: int | None) -> str | None:
    choices = (SIGMOID, SIGMOID_LOGITS) if units == 1 else VALUES
    fitting = tuple(value for value in choices if facts.fits(value))
    if not fitting:
        raise UsageError(
            f"the model gives one number, by {facts.activation}, which makes no score",
            "end the network in a sigmoid",
        )
    text = "What these are: scores by sigmoid or softmax, or logits that still need one of them"
    known = fitting[0] if len(fitting) == 1 and facts.activation is not None else None
    return answers.get(Question("values", text, fitting), str, known)


def _threshold(answers: Answers) -> dict[str, Any]:
    return {
        "value": answers.get(THRESHOLD, _a_score),
        "rule": answers.get(RULE, a_text),
        "chosen_on": answers.get(CHOSEN_ON, or_none(_counts)),
    }


def _labels(wanted: int | None) -> Callable[[str], tuple[str, ...]]:
    def fault(labels: tuple[str, ...]) -> str:
        fits = wanted in (None, len(labels))
        return "" if fits else f"there are {len(labels)} labels, not {wanted}; name each once"

    return checked(a_list, fault)


def _classes(labels: Sequence[str]) -> Callable[[str], dict[str, str]]:
    def fault(classes: Mapping[str, str]) -> str:
        unknown = [label for label in classes.values() if label not in labels]
        if not labels or not unknown:
            return ""
        return f"there is no label {printable(unknown[0])}; it must be {' or '.join(labels)}"

    return checked(pairs, fault)


_low_and_high = checked(
    numbers(2), lambda ends: "" if ends[0] < ends[1] else "the first must be the lower one"
)
_deviations = checked(numbers(3), lambda found: "" if min(found) > 0 else "all must be over 0")
_a_score = checked(a_number, lambda score: "" if 0 <= score <= 1 else "it must lie in 0 to 1")
_counts = checked(
    scores_chosen_on,
    lambda on: "" if on["positives"] <= on["n"] else "there are more positives than scores",
)


def _as_json(value: Any) -> Any:
    """Tuples as lists, and what was answered with none left out."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items() if item is not None}
    return [_as_json(item) for item in value] if isinstance(value, tuple) else value
