"""What pictures a set is to have: ``--pictures gencad5,photo --maps depth,mask``."""

from __future__ import annotations

from dataclasses import dataclass

from cadcoder.errors import ConfigError

#: Families of pictures (:mod:`dataset_build.pictures` draws them).
FAMILIES = ("gencad", "gencad5", "cadbench", "photo", "lines", "sketch")
#: The maps that can be asked for, and the columns that hold them.
MAPS = {"depth": "depth_map", "normal": "normal_map", "mask": "mask"}


@dataclass(frozen=True, slots=True)
class Wish:
    """Which pictures a set is to have.

    Attributes:
        families: of :data:`FAMILIES`, in order; the first gives ``image``. None at all draws nothing.
        maps: of :data:`MAPS`: maps of the photograph, or of ``image`` in a set without photographs.
        seed: of whatever is random.
    """

    families: tuple[str, ...] = ("gencad",)
    maps: tuple[str, ...] = ()
    seed: int = 0

    def __bool__(self) -> bool:
        return bool(self.families)

    @property
    def deep(self) -> bool:
        """Whether ``image`` is in the GenCAD frame, for which the coarse ``depth`` is kept."""
        return bool(self) and self.families[0] in ("gencad", "gencad5")

    @property
    def several(self) -> bool:
        """Whether there are more pictures than ``image``."""
        return len(self.families) > 1 or bool({"gencad5", "cadbench"} & {*self.families})

    def plain(self) -> bool:
        """Whether this is what a set has when nothing is said."""
        return self.families == ("gencad",) and not self.maps


NONE = Wish(())


def as_wish(images: bool | Wish) -> Wish:
    """Return the wish that a yes or no means."""
    return images if isinstance(images, Wish) else Wish() if images else NONE


def read_wish(pictures: str, maps: str = "", seed: int = 0) -> Wish:
    """Return what ``--pictures`` and ``--maps`` ask for.

    Args:
        pictures: families with commas between them, or ``none``.
        maps: maps with commas between them, or nothing.
        seed: of whatever is random.

    Raises:
        ConfigError: with every fault of the two.
    """
    families = tuple(n.strip() for n in pictures.split(",") if n.strip())
    beside = tuple(n.strip() for n in maps.split(",") if n.strip())
    families = () if families == ("none",) else families
    faults = [f"--pictures: {n!r} is not one of {', '.join(FAMILIES)}, none" for n in families if n not in FAMILIES]
    faults += [f"--maps: {n!r} is not one of {', '.join(MAPS)}" for n in beside if n not in MAPS]
    for option, names in (("pictures", families), ("maps", beside)):
        if len({*names}) < len(names):
            faults.append(f"--{option}: something is named twice")
    if "gencad" in families and "gencad5" in families:
        faults.append("--pictures: gencad5 holds the picture of gencad; name one of the two")
    if beside and not families:
        faults.append("--maps: there are no maps without pictures")
    if not families and pictures.strip() != "none":
        faults.append("--pictures: names nothing; say none for a set without pictures")
    if faults:
        raise ConfigError("; ".join(faults))
    return Wish(families, tuple(n for n in MAPS if n in beside), seed)
