"""A results file: what a port wrote about a kit's images, a JSON object a line.

A line that is torn, of an unknown image, or there twice with two meanings is one sentence; the
others go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.conformance.lines import Line, LineFault, read_line, shared_fields
from lesionlite_export.kit.manifest import Kit
from lesionlite_runtime.codec import parse_json
from lesionlite_runtime.errors import LesionliteError, UnusableInput, printable
from lesionlite_runtime.files import read_file
from lesionlite_runtime.pixels import pixels_sha256

MAX_RESULTS_BYTES = 256 << 20
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")  # also the beginning of UTF-32


@dataclass(frozen=True)
class Returned:
    """What came back for one image.

    ``tensor`` is uint8 ``[H, W, 3]``, ``samples`` ``[n, 3]``; ``pixels_sha256`` is the tensor's own
    where one came.
    """

    line: Line
    tensor: NDArray[np.uint8] | None
    samples: NDArray[np.uint8] | None
    pixels_sha256: str | None

    @property
    def score(self) -> float | None:
        """0 to 1; None where none came."""
        return self.line.score

    @property
    def is_refused(self) -> bool:
        """Whether the port says that it could not read the image."""
        return self.line.error is not None

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a score nor anything of the pixels."""
        return self.score is None and self.samples is None and self.pixels_sha256 is None


@dataclass
class Results:
    """What came back: by the image's name, by the rule's case; and a sentence for each fault."""

    path: str
    images: dict[str, Returned] = field(default_factory=dict)
    cases: dict[str, Line] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def missing(self, kit: Kit) -> list[str]:
        """Names of the kit's images that nothing usable came back for."""
        return [image.name for image in kit.images if image.name not in self.images]


def read_results(path: str | os.PathLike[str], kit: Kit) -> Results:
    """The results at ``path``, JSON Lines of a port that ran ``kit``.

    Raises:
        UnusableInput: when the file cannot be read, is of another kit, or has neither a score nor
            pixels of any image.
    """
    name = os.fspath(path)
    results = Results(name)
    data = read_file(path, MAX_RESULTS_BYTES)
    if data.startswith(_UTF16):
        raise UnusableInput(
            "this is UTF-16, as > of Windows PowerShell writes it", "save it as UTF-8", name
        )
    lines = list(_lines(data, results.problems))
    stated = next((line.kit for line in lines if line.kit not in (None, kit.digest)), None)
    if stated is not None:
        raise UnusableInput(
            f"these are results of another kit ({stated[:12]}), and this is {kit.digest[:12]}",
            "pass the kit that they were made with",
            name,
        )
    by_name = {image.name: image for image in kit.images}
    cases = {case.case for case in kit.rule}
    for line in lines:
        if line.case is not None:
            _take_case(results, line, cases)
        elif line.file is not None:
            image = _base_name(line.file)
            if image not in by_name:
                results.problems.append(
                    f"line {line.number}: there is no image {printable(line.file)} in the kit"
                )
            else:
                expected = by_name[image]
                _take_image(results, line, image, expected.sha256, kit)
    _drop_doubles(results, lines)
    if all(returned.is_empty for returned in results.images.values()):
        raise UnusableInput(
            f"there is no result of an image of the kit in it{_why_empty(results)}",
            "write a line of JSON for each image, as the kit's README says",
            name,
        )
    return results


def _why_empty(results: Results) -> str:
    if results.images:
        first, returned = next(iter(results.images.items()))
        return f": every line has an error ({first}: {printable(str(returned.line.error))})"
    if results.problems:
        return f": {results.problems[0]}"
    return ": only cases of the rule" if results.cases else ""


def _lines(data: bytes, problems: list[str]) -> Iterator[Line]:
    shared: dict[str, Any] = {}
    said: set[str] = set()
    for number, text in enumerate(data.removeprefix(_BOM).splitlines(), start=1):
        if not text.strip():
            continue
        try:
            value = parse_json(text, None)
            line, unknown = read_line(number, value, shared)
        except LesionliteError as error:
            problems.append(f"line {number}: {error.problem}; is it cut short?")
            continue
        except LineFault as fault:
            problems.append(f"line {number}: {fault}")
            continue
        for sentence in unknown:
            if sentence not in said:
                problems.append(f"line {number}: {sentence}")
            said.add(sentence)
        if line.is_shared:
            shared = {**shared, **shared_fields(line)}
        yield line


def _take_case(results: Results, line: Line, cases: set[str]) -> None:
    assert line.case is not None
    if line.case not in cases:
        results.problems.append(
            f"line {line.number}: there is no case {printable(line.case)!r} in the kit's rule"
        )
    elif line.decision is None:
        results.problems.append(f"line {line.number}: the case has no `decision`")
    elif results.cases.get(line.case, line).decision != line.decision:
        results.problems.append(
            f"line {line.number}: the case {printable(line.case)!r} stands there twice, with "
            "different decisions; the first counts"
        )
    else:
        results.cases.setdefault(line.case, line)


def _take_image(results: Results, line: Line, image: str, sha256: str, kit: Kit) -> None:
    if line.sha256 not in (None, sha256):
        results.problems.append(
            f"line {line.number}: {image} is not the kit's file (its sha256 is another): it was "
            "saved anew on its way; hand over the file as it is"
        )
        return
    returned = _with_pixels(results, line, kit)
    if returned.is_empty and not returned.is_refused:
        results.problems.append(
            f"line {line.number}: {image} has neither a score nor pixels; write one at least"
        )
        return
    results.images[image] = returned


def _with_pixels(results: Results, line: Line, kit: Kit) -> Returned:
    """The line with the tensor that it names; a fault of its pixels leaves the score."""
    samples = None
    if line.samples is not None:
        if len(line.samples) == len(kit.places):
            samples = np.array(line.samples, np.uint8)
        else:
            results.problems.append(
                f"line {line.number}: `samples` has {len(line.samples)} pixels, and the kit "
                f"{len(kit.places)} places"
            )
    tensor, digest = None, line.pixels_sha256
    if line.tensor is not None:
        try:
            tensor = _tensor(Path(results.path).parent, line.tensor, kit)
        except LesionliteError as error:
            results.problems.append(f"line {line.number}: {error}")
    if tensor is not None:
        if digest not in (None, pixels_sha256(tensor)):
            results.problems.append(
                f"line {line.number}: `pixels_sha256` is not that of `tensor`, which counts"
            )
        digest = pixels_sha256(tensor)
    return Returned(line, tensor, samples, digest)


def _tensor(folder: Path, name: str, kit: Kit) -> NDArray[np.uint8]:
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError) as error:  # NUL in it; a loop of links
        raise UnusableInput("`tensor` is no valid path", "name a file beside it", path) from error
    if not inside:
        raise UnusableInput(
            "`tensor` leads out of the folder of the results", "put the file beside them", path
        )
    shape = (kit.input.height, kit.input.width, 3)
    wanted = int(np.prod(shape))
    data = read_file(path)
    if len(data) != wanted:
        raise UnusableInput(
            f"the tensor has {len(data)} bytes, and uint8 {list(shape)} has {wanted}",
            "write R, G, B of each pixel, row by row",
            path,
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def _drop_doubles(results: Results, lines: Sequence[Line]) -> None:
    """Of images that stand there twice, keep those whose lines say the same."""
    by_image: dict[str, list[Line]] = {}
    for line in lines:
        if line.file is not None and _base_name(line.file) in results.images:
            by_image.setdefault(_base_name(line.file), []).append(line)
    for image, found in by_image.items():
        if len(found) > 1:
            _judge_double(results, image, found)


def _judge_double(results: Results, image: str, found: Sequence[Line]) -> None:
    places = " and ".join(str(line.number) for line in found[:2])
    if all(line.same_as(found[0]) for line in found):
        results.problems.append(f"lines {places}: {image} stands there twice, with the same values")
        return
    results.problems.append(
        f"lines {places}: {image} stands there twice, with different values; it is left out"
    )
    del results.images[image]


def _base_name(file: str) -> str:
    """The last part of a path of any system."""
    return file.replace("\\", "/").rpartition("/")[2]


def stated(results: Results, name: str) -> Mapping[Any, list[str]]:
    """Images by what their line states for ``model``, ``backend`` or ``threshold``."""
    found: dict[Any, list[str]] = {}
    for image, returned in results.images.items():
        value = getattr(returned.line, name)
        if value is not None:
            found.setdefault(value, []).append(image)
    return found
