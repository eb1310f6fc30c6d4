"""The questions that make a draft: what is not asked, and which answers are refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.runtime.drafts import binary_draft, labels_draft, regression_draft

from lesionlite_runtime.answers import Question
from lesionlite_runtime.codec import to_json
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.interview import interview
from lesionlite_runtime.model_facts import ModelFacts

BINARY = {
    "task": "binary_classification",
    "name": "theirs",
    "size": "8 6",
    "value-range": "0 255",
    "resize": "pillow-bilinear-v1",
    "units": "1",
    "labels": "benign,malignant",
    "values": "sigmoid",
    "threshold": "0.4",
    "rule": "youden",
}
LABELS = {
    **{key: BINARY[key] for key in ("name", "size", "value-range", "resize")},
    "task": "multiclass_classification",
    "labels": "red, green, blue",
    "values": "softmax",
}
REGRESSION = {"task": "regression", "name": "line", "value-range": "-20 20", "unit": "francs"}
FACTS = ModelFacts(".keras", (8, 6, 3), "float32", 1, "sigmoid")


class Person:
    """Answers what is asked by a list of answers, and notes the questions."""

    def __init__(self, **answers: str | list[str]) -> None:
        self._answers = {
            option.replace("_", "-"): [text] if isinstance(text, str) else list(text)
            for option, text in answers.items()
        }
        self.asked: list[str] = []
        self.problems: list[str] = []

    def __call__(self, question: Question, problem: str) -> str:
        self.asked.append(question.option)
        if problem:
            self.problems.append(problem)
        answers = self._answers.get(question.option)
        if not answers:
            assert question.default is not None, question
            return question.default
        return answers.pop(0)


def made(given: dict[str, str], facts: ModelFacts | None = None) -> Any:
    return to_json(interview(given, facts, None, "model"))


def refused(given: dict[str, str], facts: ModelFacts | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        interview(given, facts, None, "model")
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "draft"),
    [(BINARY, binary_draft()), (LABELS, labels_draft()), (REGRESSION, regression_draft())],
)
def test_every_answer_may_be_given_beforehand(given: dict[str, str], draft: Any) -> None:
    assert made(given) == draft


def test_all_that_may_be_said() -> None:
    given = {
        **BINARY,
        "mean": "0.1 0.2 0.3",
        "std": "1,2,3",
        "color": "BGR",
        "units": "2",
        "values": "softmax_logits",
        "labels": "malignant,benign",
        "score-of": "malignant",
        "classes": "melanoma=malignant,nevus=benign",
        "chosen-on": "validation 150 30",
    }
    assert made(given) == binary_draft(
        input={"mean": [0.1, 0.2, 0.3], "std": [1, 2, 3], "color": "BGR"},
        output={
            "units": 2,
            "values": "softmax_logits",
            "labels": ["malignant", "benign"],
            "classes": {"melanoma": "malignant", "nevus": "benign"},
        },
        threshold={"chosen_on": {"kind": "validation", "n": 150, "positives": 30}},
    )


def test_a_person_is_asked_for_what_the_model_does_not_say() -> None:
    person = Person(
        value_range=["1 -1", "-1 1"],
        std=["0 0 0", "none"],
        resize=["nearest", "tf-bilinear-v1"],
        labels=["benign,,", "benign,malignant,third", "benign,malignant"],
        classes=["nevus=good", "none"],
        threshold=["much", "2", "0.4"],
        chosen_on=["validation 30 150", "none"],
        rule=["", "youden"],
    )
    draft = interview({}, FACTS, person, "theirs")
    assert to_json(draft) == binary_draft(input={"range": [-1, 1], "resize": "tf-bilinear-v1"})
    assert person.asked == [
        "name", "value-range", "value-range", "mean", "std", "std", "color", "resize", "resize",
        "labels", "labels", "labels", "score-of", "classes", "classes", "threshold", "threshold",
        "threshold", "rule", "rule", "chosen-on", "chosen-on",
    ]  # fmt: skip
    assert person.problems == [
        "the first must be the lower one",
        "all must be over 0",
        "it must be pillow-bilinear-v1 or tf-bilinear-v1 or mediapipe-bilinear-v1",
        "it must be different words with commas between them",
        "there are 3 labels, not 2; name each once",
        "there is no label good; it must be benign or malignant",
        "it must be a number",
        "it must lie in 0 to 1",
        "it must not be empty",
        "there are more positives than scores",
    ]


def test_pixels_that_stay_as_they_are_are_not_asked_about() -> None:
    person = Person(resize="tf-bilinear-v1", labels="a,b", threshold="0.4", rule="r")
    facts = ModelFacts(".tflite", (8, 6, 3), "uint8", 2, "softmax")
    draft = to_json(interview({}, facts, person, "theirs"))
    assert draft["input"]["range"] == [0, 255]
    assert not {"value-range", "mean", "std", "size", "units", "values", "task"} & set(person.asked)
    assert (draft["output"]["units"], draft["output"]["values"]) == (2, "softmax")


def test_a_layer_for_the_scaling_is_told_and_nothing_concluded_from_it() -> None:
    texts = []

    def ask(question: Question, problem: str) -> str:
        texts.append(question.text)
        raise KeyboardInterrupt

    facts = ModelFacts(".keras", (8, 6, 3), "float32", 1, "sigmoid", "Rescaling")
    with pytest.raises(KeyboardInterrupt):
        interview({"name": "n"}, facts, ask, "theirs")
    assert texts[0].endswith("(it begins with a Rescaling layer of its own)")


@pytest.mark.parametrize(
    ("shape", "units", "task"),
    [
        ((8, 6, 3), 1, "binary_classification"),
        ((8, 6, 3), 2, "binary_classification"),
        ((8, 6, 3), 7, "multiclass_classification"),
        ((1,), 1, "regression"),
    ],
)
def test_the_task_follows_from_shapes(shape: tuple[int, ...], units: int, task: str) -> None:
    facts = ModelFacts("SavedModel", shape, "float32", units)
    others = {"binary_classification": "regression"}.get(task, "binary_classification")
    assert f"--task says {others}, and the model {task}" in refused({"task": others}, facts)


@pytest.mark.parametrize(
    ("given", "facts", "words"),
    [
        ({}, None, "answers are missing: --task; pass them, or run"),
        ({"task": "regression"}, None, "answers are missing: --value-range"),
        (
            {"task": "binary_classification"},
            FACTS,
            "answers are missing: --value-range, --resize, --labels, --threshold, --rule",
        ),
        ({**BINARY, "unit": "francs"}, None, "--unit is not for a model of binary_classification"),
        ({**LABELS, "threshold": "0.5"}, None, "--threshold is not for a model of multiclass"),
        ({**LABELS, "score-of": "red"}, None, "--score-of is not for a model of multiclass"),
        ({**REGRESSION, "labels": "a,b"}, None, "--labels is not for a model of regression"),
        ({**BINARY, "task": "binary"}, None, "--task binary: it must be binary_classification"),
        ({**BINARY, "size": "8"}, None, "--size 8: it must be 2 whole numbers"),
        ({**BINARY, "size": "8 0"}, None, "--size 8 0: it must be 2 whole numbers"),
        ({**BINARY, "value-range": "0 one"}, None, "--value-range 0 one: it must be 2 numbers"),
        ({**BINARY, "value-range": "0 inf"}, None, "--value-range 0 inf: it must be 2 numbers"),
        (
            {**BINARY, "value-range": "1 0"},
            None,
            "--value-range 1 0: the first must be the lower one",
        ),
        ({**BINARY, "std": "1 0 1"}, None, "--std 1 0 1: all must be over 0"),
        ({**BINARY, "value-range": "0 1e9"}, None, "input.range must be [low, high]"),
        ({**BINARY, "labels": "a,b,c"}, None, "there are 3 labels, not 2"),
        ({**BINARY, "score-of": "evil"}, None, "--score-of evil: it must be benign or malignant"),
        ({**BINARY, "values": "softmax"}, None, "--values softmax: it must be sigmoid"),
        ({**BINARY, "classes": "melanoma"}, None, "--classes melanoma: it must be CLASS=LABEL"),
        ({**BINARY, "classes": "a=b,a=c"}, None, "it must be CLASS=LABEL, each class once"),
        (
            {**BINARY, "classes": "melanoma=evil"},
            None,
            "there is no label evil; it must be benign or",
        ),
        ({**BINARY, "chosen-on": "validation 30"}, None, "--chosen-on validation 30: it must be"),
        ({**BINARY, "chosen-on": "v 3 4"}, None, "there are more positives than scores"),
        ({**BINARY, "size": "9 6"}, FACTS, "--size says 9 6, and the model (8, 6)"),
        ({**BINARY, "units": "2"}, FACTS, "--units says 2, and the model 1"),
        (
            {**BINARY, "values": "sigmoid_logits"},
            FACTS,
            "--values sigmoid_logits: it must be sigmoid",
        ),
        (BINARY, ModelFacts(".keras", (8, 6, 3), "float32", 1, "softmax"), "number, by softmax"),
        (LABELS, ModelFacts(".keras", (8, 6, 3), "float32", 7), "there are 3 labels, not 7"),
        (
            {**BINARY, "value-range": "0 1"},
            ModelFacts(".keras", (8, 6, 3), "uint8", 1, "sigmoid"),
            "--value-range says 0 1, and the model (0.0, 255.0)",
        ),
    ],
)
def test_missing_and_contradicting_answers_are_refused(
    given: dict[str, str], facts: ModelFacts | None, words: str
) -> None:
    assert words in refused(given, facts)
