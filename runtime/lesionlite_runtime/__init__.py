"""lesionlite on the device: contract, pixels, interpreter, result. Never imports TensorFlow."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lesionlite_runtime.classifier import Classifier, shipped_model
    from lesionlite_runtime.container import read_contract
    from lesionlite_runtime.contract import Contract
    from lesionlite_runtime.errors import LesionliteError
    from lesionlite_runtime.label_classifier import LabelClassifier
    from lesionlite_runtime.regressor import Regressor
    from lesionlite_runtime.result import Failure, LabelsResult, Result

__version__ = "0.1.0"

# Names are imported when they are first used: the command line answers `--help` without NumPy.
_HOMES = {
    "Classifier": "classifier",
    "Contract": "contract",
    "Failure": "result",
    "LabelClassifier": "label_classifier",
    "LabelsResult": "result",
    "LesionliteError": "errors",
    "Regressor": "regressor",
    "Result": "result",
    "read_contract": "container",
    "shipped_model": "classifier",
}
__all__ = [
    "Classifier",
    "Contract",
    "Failure",
    "LabelClassifier",
    "LabelsResult",
    "LesionliteError",
    "Regressor",
    "Result",
    "__version__",
    "read_contract",
    "shipped_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
