"""The tables of the TFLite Metadata schema (metadata_schema.fbs, version 1.5.0).

Names and numbers are those of the public schema, which tflite-support and MediaPipe share.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

IDENTIFIER = b"M001"
ROOT = "ModelMetadata"
UNION = "union"
"""The kind of a table whose name is the enum's value in the field before it."""

ENUMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "AssociatedFileType": (
            *("UNKNOWN", "DESCRIPTIONS", "TENSOR_AXIS_LABELS", "TENSOR_VALUE_LABELS"),
            *("TENSOR_AXIS_SCORE_CALIBRATION", "VOCABULARY", "SCANN_INDEX_FILE"),
        ),
        "BoundingBoxType": ("UNKNOWN", "BOUNDARIES", "UPPER_LEFT", "CENTER"),
        "ColorSpaceType": ("UNKNOWN", "RGB", "GRAYSCALE"),
        "ContentProperties": (
            *("NONE", "FeatureProperties", "ImageProperties", "BoundingBoxProperties"),
            "AudioProperties",
        ),
        "CoordinateType": ("RATIO", "PIXEL"),
        "ProcessUnitOptions": (
            *("NONE", "NormalizationOptions", "ScoreCalibrationOptions"),
            *("ScoreThresholdingOptions", "BertTokenizerOptions"),
            *("SentencePieceTokenizerOptions", "RegexTokenizerOptions"),
        ),
        "ScoreTransformationType": ("IDENTITY", "LOG", "INVERSE_LOGISTIC"),
    }
)


def _fields(text: str) -> tuple[tuple[str, str], ...]:
    """``name:kind`` in the order of the field numbers, as pairs.

    A kind is ``text``, an enum, a table, ``union``, a `struct` format, or one of these behind a
    star for a vector.
    """
    pairs = (item.partition(":") for item in text.split())
    return tuple((name, kind) for name, _, kind in pairs)


TABLES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "ModelMetadata": _fields(
            "name:text description:text version:text subgraph_metadata:*SubGraphMetadata "
            "author:text license:text associated_files:*AssociatedFile min_parser_version:text"
        ),
        "SubGraphMetadata": _fields(
            "name:text description:text input_tensor_metadata:*TensorMetadata "
            "output_tensor_metadata:*TensorMetadata associated_files:*AssociatedFile "
            "input_process_units:*ProcessUnit output_process_units:*ProcessUnit "
            "input_tensor_groups:*TensorGroup output_tensor_groups:*TensorGroup "
            "custom_metadata:*CustomMetadata"
        ),
        "TensorMetadata": _fields(
            "name:text description:text dimension_names:*text content:Content "
            "process_units:*ProcessUnit stats:Stats associated_files:*AssociatedFile"
        ),
        "AssociatedFile": _fields(
            "name:text description:text type:AssociatedFileType locale:text version:text"
        ),
        "Content": _fields(
            "content_properties_type:ContentProperties content_properties:union range:ValueRange"
        ),
        "ProcessUnit": _fields("options_type:ProcessUnitOptions options:union"),
        "Stats": _fields("max:*f min:*f"),
        "ValueRange": _fields("min:i max:i"),
        "TensorGroup": _fields("name:text tensor_names:*text"),
        "CustomMetadata": _fields("name:text data:*B"),
        "FeatureProperties": (),
        "ImageProperties": _fields("color_space:ColorSpaceType default_size:ImageSize"),
        "ImageSize": _fields("width:I height:I"),
        "BoundingBoxProperties": _fields(
            "index:*I type:BoundingBoxType coordinate_type:CoordinateType"
        ),
        "AudioProperties": _fields("sample_rate:I channels:I"),
        "NormalizationOptions": _fields("mean:*f std:*f"),
        "ScoreCalibrationOptions": _fields(
            "score_transformation:ScoreTransformationType default_score:f"
        ),
        "ScoreThresholdingOptions": _fields("global_score_threshold:f"),
        "BertTokenizerOptions": _fields("vocab_file:*AssociatedFile"),
        "SentencePieceTokenizerOptions": _fields(
            "sentencePiece_model:*AssociatedFile vocab_file:*AssociatedFile"
        ),
        "RegexTokenizerOptions": _fields("delim_regex_pattern:text vocab_file:*AssociatedFile"),
    }
)
