"""The door for lists of images: each fault is one sentence that names the file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlite_export.manifest import (
    LabelledImage,
    Manifest,
    read_images,
    read_isic_split,
    read_manifest,
)
from lesionlite_runtime.errors import UnusableInput

CLASSES = {"melanoma": 1, "nevus": 0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of four files that a manifest may list, and one outside it."""
    inside = tmp_path / "set"
    (inside / "deep").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "deep/c.jpg", "comma, in.jpg"):
        (inside / name).write_bytes(b"not read here")
    (tmp_path / "outside.jpg").write_bytes(b"not read here")
    return inside


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_blank_facts_and_unknown_ids_say_nothing(folder: Path) -> None:
    path = write(
        folder,
        "filepath,label,patient_id,lesion_id,sex\n"
        "a.jpg,1, ,Unknown, male \n"
        "deep/c.jpg,0,unknown ,\t,unknown\n"
        '"comma, in.jpg",0, p1,l1, \n',
    )
    assert [image.facts for image in read_manifest(path).images] == [
        {"sex": "male"},
        {"sex": "unknown"},
        {"patient_id": "p1", "lesion_id": "l1"},
    ]


def test_images_labels_and_classes(folder: Path) -> None:
    path = write(
        folder,
        "age,filepath,label,class\n"
        "50,a.jpg,1,melanoma\n"
        ",deep/c.jpg,0,\n"
        '70,"comma, in.jpg",0,nevus\n',
    )
    manifest = read_manifest(path)
    assert manifest.source == str(path)
    assert manifest.folder == folder
    assert manifest.images == (
        LabelledImage(folder / "a.jpg", 1, "melanoma"),
        LabelledImage(folder / "deep" / "c.jpg", 0, ""),
        LabelledImage(folder / "comma, in.jpg", 0, "nevus"),
    )
    assert [image.stratum for image in manifest.images] == ["melanoma", "0", "nevus"]
    assert [image.facts for image in manifest.images] == [{"age": "50"}, {}, {"age": "70"}]
    assert manifest.positives == 1
    assert manifest.needs_both_labels() is manifest


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbffilepath,label\na.jpg,1\n",
        b"filepath,label\r\na.jpg,1\r\n",
        b"filepath,label\n\n\na.jpg,1",
        b"label,filepath\n1,a.jpg\n",
        b'"filepath","label"\n"a.jpg","1"\n',
        b"filepath,label\ndeep/../a.jpg,1\n",
    ],
    ids=["bom", "crlf", "blank lines", "other order", "quotes", "detour"],
)
def test_ways_to_write_it(folder: Path, text: bytes) -> None:
    assert read_manifest(write(folder, text)).images == (LabelledImage(folder / "a.jpg", 1, ""),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("\n\n", "the column filepath is missing; name the columns filepath, label"),
        ("filepath,label\n", "it lists no image"),
        ("filepath,class\na.jpg,nevus\n", "the column label is missing"),
        ("path,label\na.jpg,1\n", "the column filepath is missing"),
        ("filepath,label,label\na.jpg,1,0\n", "the column label stands there twice"),
        ("filepath,label\na.jpg,2\n", "line 2: the label is '2', not 0 or 1"),
        ("filepath,label\na.jpg,1\nb.jpg,\n", "line 3: the label is '', not 0 or 1"),
        ("filepath,label\n\n\na.jpg,1\nb.jpg,x\n", "line 5: the label is 'x'"),
        ("filepath,label\na.jpg,1.0\n", "the label is '1.0'"),
        ("filepath,label\na.jpg, 1\n", "the label is ' 1'"),
        ("filepath,label\na.jpg\n", "line 2: there are 1 fields, not 2"),
        # A reader that takes the surplus field for a row's name would find a valid image here.
        ("filepath,label\nx,a.jpg,1\n", "line 2: there are 3 fields, not 2"),
        ("filepath,label\n,1\n", "line 2: the filepath is empty"),
        ("filepath,label\nno.jpg,1\n", "line 2: the image no.jpg does not exist"),
        ("filepath,label\ndeep,1\n", "the image deep does not exist"),
        ("filepath,label\n.,1\n", "the image . does not exist"),
        ("filepath,label\n../outside.jpg,1\n", "../outside.jpg lies outside the manifest's folder"),
        ("filepath,label\ndeep/../../outside.jpg,1\n", "lies outside the manifest's folder"),
        ("filepath,label\n/etc/hostname,1\n", "/etc/hostname is an absolute path"),
        ("filepath,label\na.jpg,1\na.jpg,1\n", "a.jpg is listed twice"),
        ("filepath,label\na.jpg,1\ndeep/../a.jpg,0\n", "a.jpg is listed twice"),
        ("filepath,label\na.jpg,1\n./a.jpg,1\n", "a.jpg is listed twice"),
        ('filepath,label\n"a.jpg,1\n', "this is no CSV in UTF-8"),
        ('filepath,label\n"a.jpg"x,1\n', "this is no CSV in UTF-8"),
        (b"filepath,label\n\xff.jpg,1\n", "this is no CSV in UTF-8"),
        (b"\xff\xfef\0i\0l\0e\0", "this is no CSV in UTF-8"),
        (b"filepath,label\na\0.jpg,1\n", "does not exist"),
        ("filepath,label\n\x1b[2Ja.jpg,1\n", "the image \\x1b[2Ja.jpg does not exist"),
        ("filepath,label\n" + "a" * 5000 + ",1\n", "does not exist"),
    ],
)
def test_a_fault_is_one_sentence_with_the_files_name(
    folder: Path, text: str | bytes, words: str
) -> None:
    path = write(folder, text)
    with pytest.raises(UnusableInput) as caught:
        read_manifest(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert words in sentence
    assert "\n" not in sentence
    assert caught.value.exit_code == 5


def test_a_manifest_that_is_missing_or_a_folder(folder: Path) -> None:
    for path in (folder / "no.csv", folder):
        with pytest.raises(UnusableInput) as caught:
            read_manifest(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_links_out_of_the_folder_are_refused(folder: Path) -> None:
    (folder / "out.jpg").symlink_to(folder.parent / "outside.jpg")
    (folder / "up").symlink_to(folder.parent)
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    for name, words in (
        ("out.jpg", "out.jpg is a link out of the manifest's folder"),
        ("up/outside.jpg", "is a link out of the manifest's folder"),
        ("loop.jpg", "does not exist"),
    ):
        with pytest.raises(UnusableInput, match=words):
            read_manifest(write(folder, f"filepath,label\n{name},1\n"))


def test_the_path_that_was_checked_is_the_path_that_is_read(folder: Path) -> None:
    """To the system ``sub/..`` is the parent of a link's target; to the check it is the folder."""
    elsewhere = folder.parent / "elsewhere"
    (elsewhere / "sub").mkdir(parents=True)
    (elsewhere / "a.jpg").write_bytes(b"secret")
    (folder / "sub").symlink_to(elsewhere / "sub")
    (image,) = read_manifest(write(folder, "filepath,label\nsub/../a.jpg,1\n")).images
    assert image.path.read_bytes() == b"not read here"


def test_links_within_the_folder_are_followed(folder: Path) -> None:
    (folder / "link.jpg").symlink_to(folder / "deep" / "c.jpg")
    assert len(read_manifest(write(folder, "filepath,label\nlink.jpg,1\n")).images) == 1


def test_a_manifest_reached_by_a_relative_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "filepath,label\na.jpg,1\n")
    monkeypatch.chdir(folder)
    (image,) = read_manifest("list.csv").images
    assert image.path.is_file()


def test_one_label_only(folder: Path) -> None:
    for label in "01":
        manifest = read_manifest(write(folder, f"filepath,label\na.jpg,{label}\nb.jpg,{label}\n"))
        with pytest.raises(UnusableInput, match=rf"list.csv: all 2 images have the label {label}"):
            manifest.needs_both_labels()


def _read_bytes(data: bytes) -> Manifest | None:
    with tempfile.TemporaryDirectory() as name:
        Path(name, "a.jpg").write_bytes(b"x")
        path = Path(name, "list.csv")
        path.write_bytes(data)
        try:
            return read_manifest(path)
        except UnusableInput as error:
            sentence = str(error)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    return None


FIELDS = st.sampled_from(
    ["filepath", "label", "class", "a.jpg", "0", "1", "", "..", "/", "\0", '"', "'", "é", "\ufeff"]
)
ROWS = st.lists(st.lists(FIELDS, max_size=4).map(",".join), max_size=5).map("\n".join)


@settings(deadline=None, max_examples=150)
@given(st.one_of(st.binary(max_size=200), ROWS.map(str.encode)))
def test_whatever_the_bytes_there_is_a_manifest_or_a_sentence(data: bytes) -> None:
    _read_bytes(data)


@settings(deadline=None, max_examples=100)
@given(ROWS.map(lambda rows: f"filepath,label\n{rows}".encode()))
def test_rows_under_a_good_header_hold_the_one_image_or_none(data: bytes) -> None:
    manifest = _read_bytes(data)
    if manifest is not None:
        assert [image.path.name for image in manifest.images] == ["a.jpg"]
        assert f"a.jpg,{manifest.images[0].label}".encode() in data


@pytest.fixture
def isic(tmp_path: Path) -> Path:
    """Six files in the ISIC layout, and what file managers leave between them."""
    for name in (
        "train/melanoma/m2.jpg",
        "train/melanoma/m1.JPG",
        "train/melanoma/notes.txt",
        "train/nevus/n1.png",
        "train/nevus/._n1.png",
        "train/.cache/x.jpg",
        "valid/melanoma/m3.jpg",
        "valid/nevus/n2.jpg",
        "valid/nevus/n3.jpg",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not read here")
    return tmp_path


def names(manifest: Manifest) -> list[str]:
    return [image.path.name for image in manifest.images]


def test_the_isic_layout(isic: Path) -> None:
    train = read_isic_split(isic, "train", CLASSES)
    assert names(train) == ["m1.JPG", "m2.jpg", "n1.png"]
    assert [image.label for image in train.images] == [1, 1, 0]
    assert train.folder == isic / "train"
    assert names(read_images(isic, "valid", CLASSES)) == ["m3.jpg", "n2.jpg", "n3.jpg"]


def test_leaks_are_left_out(isic: Path) -> None:
    (isic / "leaks.csv").write_text(
        'image_id,split,reason\nm1,train,copy\nn3,valid,"same lesion, \n recropped"\nno,train,\n'
    )
    assert names(read_isic_split(isic, "train", CLASSES)) == ["m2.jpg", "n1.png"]
    assert names(read_isic_split(isic, "valid", CLASSES)) == ["m3.jpg", "n2.jpg"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,split\nm1,train\n", "the column image_id is missing"),
        ("", "the file is empty"),
        ("image_id\nm1,train\n", "line 2: there are 2 fields"),
        (b"image_id\n\xff\n", "this is no CSV in UTF-8"),
    ],
)
def test_leaks_that_cannot_be_read_are_never_ignored(
    isic: Path, text: str | bytes, words: str
) -> None:
    path = isic / "leaks.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UnusableInput, match=words) as caught:
        read_isic_split(isic, "train", CLASSES)
    assert str(caught.value).startswith(f"{path}: ")


def test_all_images_leaked(isic: Path) -> None:
    (isic / "leaks.csv").write_text("image_id\nm1\nm2\nn1\n")
    with pytest.raises(UnusableInput, match="it lists no image"):
        read_isic_split(isic, "train", CLASSES)


def test_an_unknown_class_is_refused_with_the_option_that_names_it(isic: Path) -> None:
    (isic / "valid" / "wart").mkdir()
    with pytest.raises(UnusableInput) as caught:
        read_isic_split(isic, "valid", CLASSES)
    assert str(caught.value) == (
        f"{isic / 'valid'}: the class wart has no label; give it one (--label wart=0 or =1)"
    )


def test_a_folder_without_the_split(isic: Path) -> None:
    with pytest.raises(UnusableInput, match="there is no folder test in it"):
        read_isic_split(isic, "test", CLASSES)
    empty = isic / "empty" / "train"
    empty.mkdir(parents=True)
    with pytest.raises(UnusableInput, match="it lists no image"):
        read_isic_split(empty.parent, "train", CLASSES)


@pytest.mark.data
def test_the_real_splits_have_the_published_counts_less_the_leaks(data_dir: Path) -> None:
    isic = data_dir / "isic2017"
    train, valid = (read_isic_split(isic, split) for split in ("train", "valid"))
    assert (len(train.images), train.positives) == (1966, 363)
    assert (len(valid.images), valid.positives) == (148, 30)
    assert os.path.commonpath([isic, *(image.path for image in train.images)]) == str(isic)
