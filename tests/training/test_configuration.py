"""The settings of a training and their TOML file: they are taken, or refused in a sentence."""

from __future__ import annotations

import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_runtime.codec import to_json
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_training.augment import PRESETS
from lesionlite_training.configuration import (
    CHOICES,
    FineTuning,
    Settings,
    Stage,
)
from lesionlite_training.configuration_file import read_configuration

NAN, INF = float("nan"), float("inf")


def toml(value: Any) -> str:
    """``value`` in TOML; a null, which it does not have, is left out of tables."""
    if isinstance(value, dict):
        pairs = (f"{toml(str(k))} = {toml(v)}" for k, v in value.items() if v is not None)
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value if item is not None) + "]"
    if isinstance(value, str):
        escaped = "".join(c if c.isalnum() else f"\\U{ord(c):08x}" for c in value)
        return f'"{escaped}"'
    return repr(value).lower() if isinstance(value, bool) else repr(value)


def document(table: dict[str, Any]) -> str:
    return "# settings\n" + "".join(
        f"{toml(name)} = {toml(value)}\n" for name, value in table.items() if value is not None
    )


def read(text: str | bytes) -> Settings:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.toml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_configuration(path)


def refusal(text: str | bytes) -> str:
    with pytest.raises(UnusableInput) as caught:
        read(text)
    return str(caught.value).partition("s.toml: ")[2]


stages = st.lists(
    st.builds(Stage, st.integers(1, 100_000), st.none() | st.integers(32, 1024)), min_size=1
).map(tuple)


@st.composite
def tunings(draw: st.DrawFn) -> FineTuning:
    shares = st.floats(0, 1, exclude_max=True)
    validation = draw(st.floats(0.01, 0.5) | st.just(0.0))
    chosen: dict[str, Any] = {name: draw(st.sampled_from(CHOICES[name])) for name in CHOICES}
    return FineTuning(
        **chosen,
        blocks=draw(st.none() | st.integers(1, 30)),
        augmentation=draw(st.sampled_from(list(PRESETS))),
        focal_gamma=draw(st.floats(0, 10)),
        dropout=draw(shares),
        label_smoothing=draw(shares),
        learning_rate=draw(st.floats(0, 10, exclude_min=True)),
        weight_decay=draw(shares),
        warmup_steps=draw(st.integers(0, 10_000)),
        batch=draw(st.integers(1, 4096)),
        ema=draw(shares),
        stages=draw(stages),
        validation=validation,
        patience=draw(st.integers(0, 50)) if validation else 0,
    )


@given(tunings(), st.integers(2, 20), st.integers(0, 2**31 - 1), st.booleans())
def test_what_is_written_is_read_back(
    tuning: FineTuning, folds: int, seed: int, is_tuned: bool
) -> None:
    settings = Settings(folds=folds, seed=seed, fine_tuning=tuning if is_tuned else None)
    assert read(document(to_json(settings))) == settings


def test_what_is_left_out_has_its_default() -> None:
    assert read("# nothing\n") == Settings()
    assert read("[fine_tuning]\n").fine_tuning == FineTuning()
    short = read("[[fine_tuning.stages]]\nepochs = 3\n[[fine_tuning.stages]]\nepochs=2\nsize=160\n")
    assert short.fine_tuning == FineTuning(stages=(Stage(3), Stage(2, 160)))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("bakbone = 'x'", "bakbone is not known (did you mean backbone?)"),
        ("zzz = 1", "zzz is not known; see docs/training.md"),
        (
            "[fine_tuning]\nlearn_rate = 1",
            "fine_tuning.learn_rate is not known (did you mean learn",
        ),
        (
            "[[fine_tuning.stages]]\nepochs = 1\n[[fine_tuning.stages]]\nepoch = 1",
            "fine_tuning.stages[1].epoch is not known (did you mean epochs?)",
        ),
        ("[[fine_tuning.stages]]\nsize = 64", "fine_tuning.stages[0].epochs is missing"),
        ("fine_tuning = true", "fine_tuning must be an object, not true or false"),
        ("folds = 2.5", "folds must be an integer, not a number"),
        ("folds = true", "folds must be an integer, not true or false"),
        ("backbone = 1", "backbone must be a string, not an integer"),
        ("seed = 1979-05-27", "seed must be an integer, not that"),
        ("value_range = [0]", "value_range is out of range; pass two numbers"),
        ("value_range = ['a', 'b']", "value_range[0] must be a number, not a string"),
        ("[fine_tuning]\nstages = 5", "fine_tuning.stages must be a list, not an integer"),
        ("[fine_tuning]\nstages = [5]", "fine_tuning.stages[0] must be an object"),
        ("[fine_tuning]\nstages = []", "there is no stage to train in; give one"),
        ("[fine_tuning]\nbatch = '32'", "fine_tuning.batch must be an integer, not a string"),
        ("[fine_tuning]\nloss = 'fokal'", "there is no loss 'fokal'; use one of: focal"),
        ("[fine_tuning]\naugmentation = 'mlid'", "unknown augmentation 'mlid'; use one of: mild"),
        ("at = 'youden'", "at is not known"),
        ("rule = 'yuden'", "there is no threshold rule 'yuden'"),
        ("calibrate = 'plat'", "unknown calibration 'plat'; did you mean platt"),
        ("group = 'patient'", "unknown grouping 'patient'; did you mean patient_id"),
        ("resize = 'bilinear'", "unknown resize method 'bilinear'"),
        ("copies = ['jpg']", "unknown kind of copies 'jpg'; did you mean jpeg"),
        ("copies = ['blur', 'blur']", "copies names one kind twice"),
        ("levels = 1", "levels must be true or false, not an integer"),
        ("levels = true", "levels are for a network of which some blocks"),
        ("levels = true\n[fine_tuning]", "levels are for a network of which some blocks"),
        (
            "levels = true\n[fine_tuning]\nblocks = 0\naugmentation = 'flips'",
            "levels are for a network of which some blocks are fine-tuned",
        ),
        ("copies = ['blur']\n[fine_tuning]\nblocks = 6", "copies are for a logistic head"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, problem: str) -> None:
    told = refusal(text)
    assert told.startswith(f"the configuration cannot be used: {problem}")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"\xff", "this is no TOML"),
        (b"a = ", "this is no TOML"),
        (b"folds = 1\nfolds = 2", "this is no TOML"),
        (b"a = " + b"[" * 5000, "this is no TOML"),
        (b"seed = " + b"9" * 5000, "this is no TOML"),
        (b"seed = 0x" + b"f" * 5000, "seed is out of range"),
        (b"", "the file is empty"),
        (b"#" * (1 << 20) + b"#", "the file is over"),
    ],
)
def test_what_is_no_usable_toml_is_refused(text: bytes, words: str) -> None:
    assert words in refusal(text)


@pytest.mark.parametrize("name", CHOICES)
def test_each_choice_can_be_made_and_no_other(name: str) -> None:
    for value in CHOICES[name]:
        assert getattr(FineTuning(**{name: value}), name) == value
        with pytest.raises(UsageError, match=f"there is no {name} '{value}x'; use one of: {value}"):
            FineTuning(**{name: f"{value}x"})


def test_choices_and_texts_agree() -> None:
    texts = {f.name for f in fields(FineTuning) if f.type == "str"}
    assert texts == {*CHOICES, "augmentation"}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("blocks", (None, 1, 99), (-1,)),
        ("focal_gamma", (0.0, 10.0), (-0.1, 10.1, NAN)),
        ("label_smoothing", (0.0, 0.99), (-0.1, 1.0, NAN)),
        ("dropout", (0.0, 0.99), (-0.1, 1.0, NAN)),
        ("learning_rate", (1e-9, 10.0), (0.0, -1.0, 10.1, NAN, INF)),
        ("weight_decay", (0.0, 0.99), (-0.1, 1.0, NAN)),
        ("warmup_steps", (0, 10**6), (-1,)),
        ("batch", (1, 4096), (0,)),
        ("ema", (0.0, 0.9999), (-0.1, 1.0, NAN)),
        ("validation", (0.0, 0.5), (-0.1, 0.51, NAN)),
        ("patience", (0,), (-1,)),
    ],
)
def test_numbers_out_of_range_are_refused(
    name: str, good: tuple[Any, ...], bad: tuple[Any, ...]
) -> None:
    for value in good:
        FineTuning(**{name: value})
    for value in bad:
        with pytest.raises(UsageError, match=f"{name} is out of range; pass"):
            FineTuning(**{name: value})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("folds", (2, 1000), (1, 0, 1001)),
        ("seed", (0, 2**31 - 1), (-1, 2**31)),
        ("size", (None, 32, 1024), (31, 1025)),
        ("regularization", (1e-6, 1.0), (0.0, -1.0, NAN, INF)),
        (
            "value_range",
            (None, (-1.0, 1.0)),
            ((), (1.0,), (0.0, 1.0, 2.0), (0.0, NAN), (-INF, 0.0)),
        ),
    ],
)
def test_settings_out_of_range_are_refused(
    name: str, good: tuple[Any, ...], bad: tuple[Any, ...]
) -> None:
    for value in good:
        Settings(**{name: value})
    for value in bad:
        with pytest.raises(UsageError, match=f"{name} is out of range; pass"):
            Settings(**{name: value})


@pytest.mark.parametrize("stage", [(0, None), (100_001, None), (1, 31), (1, 1025)])
def test_stages_out_of_range_are_refused(stage: tuple[int, int | None]) -> None:
    with pytest.raises(UsageError, match="out of range"):
        Stage(*stage)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"patience": 3}, "patience needs images to judge the epochs by; set validation"),
        (
            {"blocks": 0, "augmentation": "flips", "distillation": 0.5},
            "a head on frozen features has no teacher",
        ),
        ({"distillation": 1.5}, "distillation is out of range; pass 0 to 1"),
        ({"blocks": 0}, "a head on frozen features cannot be trained on the augmentation 'perez"),
        (
            {"blocks": 0, "augmentation": "none", "stages": (Stage(1), Stage(2))},
            "a head on frozen features has one stage, at the network's own size",
        ),
        (
            {"blocks": 0, "augmentation": "flips", "stages": (Stage(1, 64),)},
            "a head on frozen features has one stage, at the network's own size",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UsageError) as caught:
        FineTuning(**changes)
    assert str(caught.value).startswith(problem)


def test_a_softmax_cannot_be_calibrated() -> None:
    tuned = Settings(fine_tuning=FineTuning(targets="classes"))
    with pytest.raises(UsageError, match="no one logit that a calibration could change"):
        replace(tuned, calibrate="platt")


def test_the_stage_of_each_epoch() -> None:
    tuning = FineTuning(stages=(Stage(2, 64), Stage(3)))
    assert tuning.epochs == 5
    assert [tuning.stage_at(epoch).size for epoch in range(5)] == [64, 64, None, None, None]
    with pytest.raises(IndexError):
        tuning.stage_at(5)


plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([choice for choices in CHOICES.values() for choice in choices])
    | st.text(max_size=8)
)
anything = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def tables_of(kind: type) -> st.SearchStrategy[dict[str, Any]]:
    """Tables that name its fields, and now and then something else, with any values."""
    known = st.sampled_from([field.name for field in fields(kind)])
    return st.dictionaries(known | known | known | st.text(max_size=8), anything, max_size=3)


def outcome(text: str | bytes) -> Settings | UnusableInput:
    try:
        return read(text)
    except UnusableInput as fault:
        return fault


@given(
    tables_of(Settings),
    st.none() | tables_of(FineTuning),
    st.none() | st.lists(tables_of(Stage), max_size=2),
)
def test_any_table_gives_settings_or_one_sentence(
    table: dict[str, Any], tuning: dict[str, Any] | None, stages: list[Any] | None
) -> None:
    if tuning is not None:
        table["fine_tuning"] = tuning if stages is None else {**tuning, "stages": stages}
    told = str(outcome(document(table)))
    assert "this is no TOML" not in told
    assert "\n" not in told


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_give_settings_or_one_sentence(data: bytes) -> None:
    assert "\n" not in str(outcome(data))


def test_levels_go_with_some_blocks_and_copies_with_levels() -> None:
    tuned = read("copies = ['jpeg']\nlevels = true\n[fine_tuning]\nblocks = 6")
    assert (tuned.levels, tuned.copies) == (True, ("jpeg",))
    assert read("copies = ['blur', 'noise']").copies == ("blur", "noise")
