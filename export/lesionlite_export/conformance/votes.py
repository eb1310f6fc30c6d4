"""Which of the known mistakes explain what came back.

An image's evidence is how far what came back lies from what is right, and from what each mistake
would have given: in grey levels of the pixels, or in the score. The mistake is taken that reduces
the sum of the squared distances most, over all images, right ones included: whoever makes a mistake
makes it everywhere. Then the next one is looked for in the images that it leaves unexplained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

_EXPLAINED = 0.7  # of the squared distances, as a share
_CLEARLY = 0.5  # nearer
_ROUGHLY = 1.25  # times the noise of other kernels
_MOST = 0.75  # of the images that a rough mistake changes, how many it explains to take the others
_MET = 0.5  # of the images that a mistake changes, how many it has to meet to count as exact


@dataclass(frozen=True)
class Distance:
    """How far what came back lies from what a mistake gives, and the distance that is noise.

    ``is_rough`` where the noise is that of other kernels, in which a second mistake would not show.
    """

    value: float
    noise: float
    is_rough: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the mistake gives just what came back."""
        return self.value <= self.noise and not self.is_rough


@dataclass(frozen=True)
class Evidence:
    """One image: distances of what came back, all in one unit.

    Attributes:
        image: its name.
        right: from what is right.
        tolerance: the distance that is still right, whatever read the file.
        noise: the distance at which two results of the same pixels may lie.
        mistaken: by mistake, from what it gives; without those that leave the image as it is.
    """

    image: str
    right: float
    tolerance: float
    noise: float
    mistaken: Mapping[str, Distance]

    @property
    def is_wrong(self) -> bool:
        """Whether it is not right: beyond the tolerance, or just what a mistake gives."""
        if self.right <= self.noise:
            return False
        return self.right > self.tolerance or any(
            found.is_met and found.noise <= self.noise for found in self.mistaken.values()
        )


@dataclass(frozen=True)
class Explanation:
    """A mistake that explains images: the best of ``tied``, which explain them as well.

    ``exact`` tells whether it gives just what came back, within the noise, in most of them;
    ``changed`` are all wrong images that it changes.
    """

    mistake: str
    tied: tuple[str, ...]
    images: tuple[str, ...]
    exact: bool
    changed: tuple[str, ...]


@dataclass(frozen=True)
class _Fit:
    """A mistake against the ``changed`` wrong images, and the right ones that it would change.

    ``n`` counts both, and the sums of squares ``before`` and ``after`` are over both.
    """

    mistake: str
    changed: tuple[Evidence, ...]
    n: int
    met: int
    before: float
    after: float

    @property
    def is_exact(self) -> bool:
        return self.met >= _MET * len(self.changed)

    @property
    def is_accepted(self) -> bool:
        if not self.changed or self.after >= self.before:
            return False
        if self.is_exact:
            return True
        if self.is_rough and self.spread > _ROUGHLY * self.noise:
            return False
        return self.after <= (1 - _EXPLAINED) * self.before

    @property
    def is_rough(self) -> bool:
        return any(self.distance(item).is_rough for item in self.changed)

    @property
    def noise(self) -> float:
        """The mean distance that is noise."""
        return sum(self.distance(item).noise for item in self.changed) / len(self.changed)

    @property
    def rank(self) -> tuple[bool, float]:
        return self.is_exact, self.before - self.after

    @property
    def spread(self) -> float:
        """The root of the mean squared distance."""
        return float((self.after / self.n) ** 0.5)

    def distance(self, item: Evidence) -> Distance:
        return item.mistaken[self.mistake]

    def explains(self, item: Evidence, stages: Mapping[str, str]) -> bool:
        """Whether ``item`` needs no other mistake.

        One that gives roughly what came back stands for a variant of its own, which no distance
        tells: then only a mistake of another stage that is clearly nearer speaks against it.
        """
        found = self.distance(item)
        if found.is_met or found.is_rough:
            return True
        stage = stages[self.mistake]
        return not self.is_exact and not any(
            other.value <= _CLEARLY * min(item.right, found.value)
            for name, other in item.mistaken.items()
            if stages.get(name, stage) != stage
        )


def explain(
    evidence: Sequence[Evidence], stages: Mapping[str, str]
) -> tuple[list[Explanation], list[str]]:
    """The mistakes that explain the wrong images, the one that explains most of them first.

    Args:
        evidence: of each image.
        stages: the stage of each mistake by its name, the commonest first among those that nothing
            else tells apart.

    Returns:
        The explanations, and the wrong images that none of them explains.
    """
    left = [item for item in evidence if item.is_wrong]
    right = [item for item in evidence if not item.is_wrong]
    found: list[Explanation] = []
    while left:
        fits = [_fit(mistake, left, right) for mistake in stages]
        accepted = sorted(
            (fit for fit in fits if fit.is_accepted), key=lambda fit: fit.rank, reverse=True
        )
        explaining = (
            (fit, images)
            for fit in accepted
            if (images := [item.image for item in fit.changed if fit.explains(item, stages)])
        )
        best, images = next(explaining, (None, []))
        if best is None:
            break
        changed = tuple(item.image for item in best.changed)
        tied = _tied(best, fits)
        found.append(Explanation(best.mistake, tied, tuple(images), best.is_exact, changed))
        left = [item for item in left if item.image not in images]
    return _with_leftovers(found, [item.image for item in left])


def _with_leftovers(
    found: Sequence[Explanation], left: Sequence[str]
) -> tuple[list[Explanation], list[str]]:
    """``found``, where rough ones take the few images that they change and nothing explains.

    A mistake of another stage may be nearer to the score of an image by chance, and explain no
    other one: it is not accepted then, and no reason to call the image wrong in a way of its own.
    """
    unexplained = list(left)
    whole = []
    for item in found:
        most = not item.exact and len(item.images) >= _MOST * len(item.changed)
        taken = [image for image in unexplained if most and image in item.changed]
        unexplained = [image for image in unexplained if image not in taken]
        whole.append(replace(item, images=(*item.images, *taken)))
    return whole, unexplained


def _fit(mistake: str, wrong: Sequence[Evidence], right: Sequence[Evidence]) -> _Fit:
    changed = tuple(item for item in wrong if mistake in item.mistaken)
    kept = [item for item in right if mistake in item.mistaken]
    all_of_them = [*changed, *kept]
    return _Fit(
        mistake,
        changed,
        len(all_of_them),
        sum(item.mistaken[mistake].is_met for item in changed),
        sum(item.right**2 for item in all_of_them),
        sum(item.mistaken[mistake].value ** 2 for item in all_of_them),
    )


def _tied(best: _Fit, fits: Sequence[_Fit]) -> tuple[str, ...]:
    """The mistakes of the same images that noise does not tell from the best."""
    limit = best.spread + best.noise / len(best.changed) ** 0.5
    return tuple(
        fit.mistake
        for fit in fits
        if fit.changed == best.changed and fit.is_accepted and fit.spread <= limit
    )
