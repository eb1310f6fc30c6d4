"""Drafts that the tests alter."""

from __future__ import annotations

from typing import Any

SPEC = dict[str, Any]


def binary_draft(**changes: SPEC) -> SPEC:
    """The JSON of a draft of two labels; ``changes`` go over its parts."""
    body: SPEC = {
        "schema": "lesionlite.draft/1",
        "task": "binary_classification",
        "name": "theirs",
        "input": {
            "shape": [1, 8, 6, 3],
            "range": [0, 255],
            "color": "RGB",
            "resize": "pillow-bilinear-v1",
        },
        "output": {
            "values": "sigmoid",
            "units": 1,
            "labels": ["benign", "malignant"],
            "score_of": "malignant",
        },
        "threshold": {"value": 0.4, "rule": "youden"},
    }
    return _changed(body, changes)


def labels_draft(**changes: SPEC) -> SPEC:
    """Likewise of three labels."""
    body = binary_draft()
    body["task"] = "multiclass_classification"
    body["output"] = {"values": "softmax", "labels": ["red", "green", "blue"]}
    del body["threshold"]
    return _changed(body, changes)


def regression_draft(**changes: SPEC) -> SPEC:
    """Likewise of a regression."""
    body: SPEC = {
        "schema": "lesionlite.draft/1",
        "task": "regression",
        "name": "line",
        "input": {"range": [-20, 20]},
        "output": {"unit": "francs"},
    }
    return _changed(body, changes)


def _changed(body: SPEC, changes: dict[str, Any]) -> SPEC:
    """``body`` with ``changes`` over it; a None takes a key away."""
    for key, change in changes.items():
        part = {**body.get(key, {}), **change} if isinstance(change, dict) else change
        if isinstance(part, dict):
            part = {name: value for name, value in part.items() if value is not None}
        body[key] = part
    return {key: value for key, value in body.items() if value is not None}
