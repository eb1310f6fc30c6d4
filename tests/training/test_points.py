"""The CSV of points: what is read, and each fault by its file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lesionlite_runtime.errors import UnusableInput
from lesionlite_training.points import Points, example_points, read_points


def read(folder: Path, content: bytes) -> Points:
    path = folder / "points.csv"
    path.write_bytes(content)
    return read_points(path)


@pytest.mark.parametrize(
    "content",
    [
        b"x,y\n0.1,2\n-3e1,.5\n",
        b"y,x\n2,0.1\n0.5,-30\n",
        b"\xef\xbb\xbfx,y\r\n0.1,2\r\n-30,0.5\r\n",
        b'"x", y \n 0.1 ,2\n\n"-30",+0.5\n\n',
        b"x,y\n0.1,2\n-30,0.5",
    ],
)
def test_points_are_read(tmp_path: Path, content: bytes) -> None:
    points = read(tmp_path, content)
    np.testing.assert_array_equal(points.x, [0.1, -30])
    np.testing.assert_array_equal(points.y, [2, 0.5])
    assert points.span == (-30, 0.1)
    assert points.source == str(tmp_path / "points.csv")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "line 1: the columns are none"),
        (b"x,y\n", "its 0 points have fewer than two different x"),
        (b"x,y\n1,2\n1,3\n", "its 2 points have fewer than two different x"),
        (b"x,y\n1,2\n1.00000001,3\n", "its 2 points have fewer than two different x"),
        (b"x;y\n1;2\n", "line 1: the columns are x;y"),
        (b"a,b\n1,2\n", "line 1: the columns are a, b"),
        (b"x,y,z\n1,2,3\n", "line 1: the columns are x, y, z"),
        (b"x,x,y\n1,2,3\n", "line 1: the columns are x, x, y"),
        (b"1,2\n3,4\n", "line 1: the columns are 1, 2"),
        (b"x,y\n1,2,3\n", "line 2: the number of fields is 3, not 2"),
        (b"x,y\n1,2\n2\n", "line 3: the number of fields is 1, not 2"),
        (b"x,y\n1,2\n\n2,\n", "line 4: y is empty"),
        (b"x,y\n1,2\n,2\n", "line 3: x is empty"),
        (b"x,y\n1,nan\n", "line 2: y is 'nan', which is no number"),
        (b"x,y\ninf,1\n", "line 2: x is 'inf', which is no number"),
        (b"x,y\n1_0,1\n", "line 2: x is '1_0', which is no number"),
        ("x,y\n٣,1\n".encode(), "line 2: x is '٣', which is no number"),
        (b"x,y\n1,2\n2,1e39\n", r"line 3: y = 1e\+39 is beyond float32"),
        (b"x,y\n1,2\n2,1e999\n", "line 3: y = inf is beyond float32"),
        (b'x,y\n1,2\n"3,4\n', "line 3: this is no CSV"),
        (b"x,y\n1,2\n3,\xff\n", "line 3: this is no UTF-8 text"),
        ("x,y\n1,2\n".encode("utf-16"), "line 1: this is no UTF-8 text"),
    ],
)
def test_a_fault_is_one_sentence_with_its_line(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    with pytest.raises(UnusableInput, match=rf"points\.csv: {problem}.*; \w") as caught:
        read(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableInput, match=r"none\.csv: no such file"):
        read_points(tmp_path / "none.csv")


def test_an_example_follows_its_formula() -> None:
    points = example_points("line", range(-1, 2), slope=2, intercept=-1)
    np.testing.assert_array_equal(points.x, [-1, 0, 1])
    np.testing.assert_array_equal(points.y, [-3, -1, 1])
