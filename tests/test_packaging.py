"""What pip pulls in, by machine and by extra."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def base_install(machine: str, system: str) -> set[str]:
    environment = {"platform_machine": machine, "sys_platform": system}
    requirements = [Requirement(text) for text in PROJECT["dependencies"]]
    return {r.name for r in requirements if r.marker is None or r.marker.evaluate(environment)}


@pytest.mark.parametrize(
    ("machine", "system", "interpreter"),
    [
        ("x86_64", "linux", True),
        ("aarch64", "linux", True),
        ("arm64", "darwin", True),
        ("AMD64", "win32", True),
        ("armv7l", "linux", False),
        ("armv6l", "linux", False),
        ("x86_64", "darwin", False),
    ],
)
def test_the_interpreter_is_pulled_in_where_it_has_wheels(
    machine: str, system: str, interpreter: bool
) -> None:
    expected = {"numpy", "pillow", "click"} | ({"ai-edge-litert"} if interpreter else set())
    assert base_install(machine, system) == expected


def test_all_brings_every_extra_but_the_ones_that_conflict() -> None:
    extras = PROJECT["optional-dependencies"]
    assert {"export", "training", "hub", "all", "dev"} <= set(extras)
    training = {Requirement(text).name for text in extras["training"]}
    assert "lesionlite" in training, "training contains export"
    assert {Requirement(text).name for text in extras["export"]} >= {"tensorflow", "lesionlite"}
    assert {Requirement(text).name for text in extras["quantize"]} >= {"pandas", "flatbuffers"}


def test_every_dependency_is_pinned_to_a_range() -> None:
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for text in (text for group in groups for text in group):
        requirement = Requirement(text)
        if requirement.name == "lesionlite" or requirement.name.endswith("-stubs"):
            continue
        operators = {s.operator for s in requirement.specifier}
        assert "==" in operators or "<" in operators, f"{text} has no upper end"
