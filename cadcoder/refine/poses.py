"""Where a picture was taken from: cameras as four numbers, a grid of them, and the search for the right one.

A picture in the frame of the GenCAD renders tells its camera; of any other one only the part's outline is known, which
every camera is fitted to, so that four numbers are left: azimuth, elevation, roll and field of view.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from cadcoder.render.camera import GENCAD, Camera

if TYPE_CHECKING:
    from cadcoder.render.mesh import Drawable
    from cadcoder.render.observe import Observation

#: Below this field of view (degrees) perspective does not show.
FLAT_VIEW = 4.0
#: The widest field of view, and that of the grid's cameras.
WIDEST_VIEW, GRID_VIEW = 75.0, 25.0
#: What a degree of roll costs in likeness, and in a render a degree of the field of view.
ROLL_COST, VIEW_COST = 0.001, 0.0015
#: Elevations of the grid in degrees, and how many azimuths each has.
GRID_RINGS = ((-18, 12), (8, 12), (30, 12), (54, 8), (78, 4))


#: Pictures of one part, each with its camera.
Views: TypeAlias = "tuple[Observation, ...]"


@dataclass(frozen=True, slots=True)
class Guess:
    """A script that may be the part of some pictures.

    Attributes:
        likeness: of its drawings and the pictures, from 0 to 1.
        code: the script.
        cameras: where each picture would be seen from.
    """

    likeness: float
    code: str
    cameras: tuple[Camera, ...]


@dataclass(frozen=True, slots=True)
class Pose:
    """A camera on the sphere around a part.

    Attributes:
        azimuth: degrees from x towards y of the direction to the eye.
        elevation: degrees above the xy plane.
        roll: turn of the camera about its axis in degrees, counter-clockwise.
        view: full vertical angle in degrees; 0 is orthographic.
    """

    azimuth: float
    elevation: float
    roll: float = 0.0
    view: float = 0.0

    def camera(self) -> Camera:
        """Return the camera, which fits the part's outline."""
        a, e = math.radians(self.azimuth), math.radians(self.elevation)
        direction = (math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e))
        # Straight from above the azimuth is the roll: up is where the ring's centre lies.
        up = (0.0, 0.0, 1.0) if abs(self.elevation) < 89.9 else (-math.cos(a), -math.sin(a), 0.0)
        view = self.view if self.view >= FLAT_VIEW else None
        camera = replace(GENCAD, direction=direction, up=up, roll=self.roll, field_of_view=view)
        return replace(camera, aspect=None, tight=True, centred=True)

    def to_json(self) -> dict[str, float]:
        """Return the four numbers by name, to a tenth of a degree."""
        names = {"azimuth": self.azimuth % 360, "elevation": self.elevation, "roll": self.roll, "view": self.view}
        return {name: round(value, 1) for name, value in names.items()}


#: The step that a search for a camera begins with, and where it stops: azimuth, elevation, roll, field of view.
FIRST_STEPS, LAST_STEPS = (10.0, 8.0, 4.0, 12.0), (0.8, 0.8, 0.8, 4.0)
#: Where else to look around a camera of the grid: half way to its neighbours, with and without perspective.
AROUND = tuple(
    (a, e, 0.0, view) for view in (0.0, -GRID_VIEW) for a in (-12, 0, 12) for e in (-11, 0, 11) if a or e or view
)
#: Cameras from which a part is looked at first.
GRID = tuple(
    Pose(azimuth=(k + 0.5) * 360 / count, elevation=float(elevation), view=GRID_VIEW)
    for elevation, count in GRID_RINGS
    for k in range(count)
)


def pose_of(camera: Camera) -> Pose:
    """Return a camera's direction, roll and field of view."""
    x, y, z = camera.direction
    elevation = math.degrees(math.atan2(z, math.hypot(x, y)))
    return Pose(math.degrees(math.atan2(y, x)), elevation, camera.roll, camera.field_of_view or 0.0)


def moved(camera: Camera, by: Sequence[float]) -> Camera:
    """Return a camera moved by (azimuth, elevation, roll, field of view), in degrees."""
    pose = pose_of(camera)
    elevation = min(89.0, max(-89.0, pose.elevation + by[1]))
    view = min(WIDEST_VIEW, max(0.0, pose.view + by[3]))
    return Pose(pose.azimuth + by[0], elevation, pose.roll + by[2], view).camera()


def is_free(observation: Observation) -> bool:
    """Whether a picture's camera is not known: it is fitted to the outline, from a direction that may be another."""
    return observation.camera.tight


def find_camera(
    score: Callable[[Camera], float], starts: Sequence[Camera], *, around: int = 5, finalists: int = 3, tries: int = 30
) -> tuple[float, Camera]:
    """Return the best (score, camera).

    What a picture looks like changes within ten degrees or so: all starts are tried, then cameras around the best of
    them, and the best of all are moved by pattern search.

    Args:
        score: what is to be as high as possible.
        starts: cameras to begin with, at least one.
        around: how many of them are looked around.
        finalists: how many cameras are moved.
        tries: calls of ``score`` for each of those.
    """
    ranked = sorted(((score(camera), i, camera) for i, camera in enumerate(starts)), key=lambda r: (-r[0], r[1]))
    for _, _, camera in ranked[:around]:
        for by in AROUND:
            other = moved(camera, by)
            ranked.append((score(other), len(ranked), other))
    ranked.sort(key=lambda r: (-r[0], r[1]))
    found = [_climb(score, value, camera, tries) for value, _, camera in ranked[:finalists]]
    return max(found, key=lambda f: f[0])


def _climb(score: Callable[[Camera], float], value: float, camera: Camera, tries: int) -> tuple[float, Camera]:
    steps, signs = list(FIRST_STEPS), [1.0] * len(FIRST_STEPS)
    while tries > 0 and any(step >= last for step, last in zip(steps, LAST_STEPS, strict=True)):
        for i in range(len(steps)):
            if steps[i] < LAST_STEPS[i]:
                continue
            for sign in (signs[i], -signs[i]):
                other = moved(camera, [sign * steps[i] * (k == i) for k in range(len(steps))])
                tries -= 1
                if (now := score(other)) > value:
                    value, camera, signs[i] = now, other, sign
                    steps[i] *= 1.3
                    break
            else:
                steps[i] *= 0.45
    return value, camera


def posed_views(views: Views, cameras: Sequence[Camera]) -> Views:
    """Return pictures with other cameras."""
    return tuple(replace(view, camera=camera) for view, camera in zip(views, cameras, strict=True))


def sharpened(views: Views) -> Views | None:
    """Return pictures as they can be compared pixel by pixel; None where not all of them can."""
    found = tuple(view.sharp for view in views if view.sharp is not None)
    return found if len(found) == len(views) else None


def small(views: Views) -> Views:
    """Return pictures on the small canvas alone."""
    return tuple(replace(view, sharp=None) for view in views)


def seen_by(part: Drawable, view: Observation, camera: Camera) -> float:
    """Return how alike a part and a picture are, from 0 to 1, if the picture was taken by a camera.

    Args:
        part: made ready to be drawn, with seams if the view has them.
        view: the picture.
        camera: in place of the view's own.
    """
    from cadcoder.render.compare import compare, draw_part

    posed = view if camera is view.camera else replace(view, camera=camera)
    return compare(posed, draw_part(part, posed)).total - camera_cost(view, camera)


def camera_cost(view: Observation, camera: Camera) -> float:
    """Return what a camera costs in likeness: cameras are held upright, and renders have no perspective, as a rule.

    Without that, a part's proportions and the field of view could make up for each other.
    """
    if not camera.tight:
        return 0.0
    roll = abs((camera.roll + 90.0) % 180.0 - 90.0)
    return ROLL_COST * roll + (VIEW_COST * (camera.field_of_view or 0.0) if view.seams else 0.0)


def other_cameras(view: Observation) -> list[Camera]:
    """Return the cameras that a picture may have been taken with, the most likely first.

    What stands on its head is seen from below: the isometric corners are alike up to a turn of the part but for that.
    """
    found = [view.camera, replace(view.camera, roll=view.camera.roll + 180.0)]
    return [*found, *(pose.camera() for pose in GRID)] if is_free(view) else found
