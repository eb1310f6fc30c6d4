"""Which mistakes explain the wrong images."""

from __future__ import annotations

from collections.abc import Mapping

from lesionlite_export.conformance.votes import Distance, Evidence, explain

STAGES = {
    "no turning": "orientation",
    "nearest": "resize",
    "cubic": "resize",
    "bgr": "colour order",
}
NOISE = 1e-5


def image(
    name: str, right: float, mistaken: Mapping[str, float], *, rough: bool = False
) -> Evidence:
    noise = 0.06 if rough else NOISE
    distances = {m: Distance(value, noise, rough) for m, value in mistaken.items()}
    return Evidence(name, right, NOISE, NOISE, distances)


def found(*images: Evidence) -> tuple[list[str], list[str]]:
    explained, left = explain(images, STAGES)
    return [item.mistake for item in explained], left


def test_a_mistake_that_gives_what_came_back_explains_it() -> None:
    images = [image(f"i{n}", 0.2, {"bgr": 0.0, "nearest": 0.15}) for n in range(4)]
    explained, left = explain(images, STAGES)
    assert [item.mistake for item in explained] == ["bgr"]
    assert explained[0].exact
    assert explained[0].images == ("i0", "i1", "i2", "i3")
    assert left == []


def test_two_mistakes_of_different_images_are_both_found() -> None:
    turned = [image(f"t{n}", 0.2, {"no turning": 0.0, "nearest": 0.2}) for n in range(3)]
    plain = [image(f"p{n}", 0.3, {"bgr": 0.0}) for n in range(5)]
    assert found(*turned, *plain) == (["bgr", "no turning"], [])


def test_a_right_image_that_a_mistake_would_have_changed_speaks_against_it() -> None:
    wrong = image("a", 0.1, {"nearest": 0.02})
    right = [image(f"r{n}", 0.0, {"nearest": 0.3}) for n in range(4)]
    assert found(wrong, *right) == ([], ["a"])
    assert found(wrong) == (["nearest"], [])


def test_a_variant_of_a_mistake_is_named_as_one() -> None:
    images = [image(f"i{n}", 0.2, {"nearest": 0.03, "cubic": 0.18}) for n in range(4)]
    explained, _ = explain(images, STAGES)
    assert [item.mistake for item in explained] == ["nearest"]
    assert not explained[0].exact


def test_one_image_that_another_mistake_is_nearer_to_by_chance_is_no_fault_of_its_own() -> None:
    images = [image(f"i{n}", 0.2, {"nearest": 0.03, "bgr": 0.2}) for n in range(4)]
    chance = image("c", 0.2, {"nearest": 0.03, "bgr": 0.001})
    rest = [image(f"r{n}", 0.0, {"bgr": 0.9}) for n in range(2)]
    explained, left = explain([*images, chance, *rest], STAGES)
    assert [(item.mistake, len(item.images)) for item in explained] == [("nearest", 5)]
    assert left == []


def test_a_rough_mistake_of_few_images_takes_no_others() -> None:
    images = [image(f"i{n}", 0.2, {"nearest": 0.03, "bgr": 0.2}) for n in range(2)]
    others = [image(f"c{n}", 0.2, {"nearest": 0.03, "bgr": 0.001}) for n in range(2)]
    rest = [image(f"r{n}", 0.0, {"bgr": 0.9}) for n in range(2)]
    explained, left = explain([*images, *others, *rest], STAGES)
    assert [(item.mistake, item.images) for item in explained] == [("nearest", ("i0", "i1"))]
    assert left == ["c0", "c1"]


def test_a_mistake_that_others_explain_better_everywhere_ends_the_search() -> None:
    images = [image(f"i{n}", 0.2, {"nearest": 0.05, "bgr": 0.02}) for n in range(3)]
    far = [image(f"f{n}", 0.2, {"bgr": 0.5}) for n in range(9)]
    explained, left = found(*images, *far)
    assert explained == []
    assert len(left) == 12


def test_mistakes_that_nothing_tells_apart_are_tied() -> None:
    explained, _ = explain([image("a", 0.2, {"nearest": 0.0, "cubic": 0.0})], STAGES)
    assert explained[0].tied == ("nearest", "cubic")


def test_what_no_mistake_explains_is_left() -> None:
    assert found(image("a", 0.2, {"bgr": 0.4, "nearest": 0.19})) == ([], ["a"])


def test_in_the_noise_of_other_kernels_one_mistake_is_enough() -> None:
    near = {"nearest": 0.02, "cubic": 0.3}
    images = [image(f"i{n}", 0.3, near, rough=True) for n in range(5)]
    odd = image("odd", 0.1, {"nearest": 0.11, "cubic": 0.0}, rough=True)
    assert found(*images, odd) == (["nearest"], [])


def test_an_image_within_the_decoders_tolerance_is_wrong_where_a_mistake_meets_it() -> None:
    distances = {"no turning": Distance(0.0, NOISE)}
    assert Evidence("a", 0.1, 0.2, NOISE, distances).is_wrong
    assert not Evidence("a", 0.1, 0.2, NOISE, {"no turning": Distance(0.05, NOISE)}).is_wrong
