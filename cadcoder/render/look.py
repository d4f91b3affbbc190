"""What a drawing looks like: colours, light, edges."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[float, float, float]
Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Light:
    """A light far away.

    Attributes:
        direction: from the part towards the light, in the camera's axes (right, up, towards the eye);
            (0, 0, 1) is a light at the camera.
        colour: red, green and blue in [0, 1].
        strength: multiplies the diffuse and specular parts.
    """

    direction: Vector = (0.0, 0.0, 1.0)
    colour: Colour = (1.0, 1.0, 1.0)
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """Colours, material, light and edges of a drawing; colours are red, green, blue in [0, 1].

    A face with unit normal n lit from unit directions l_i reflects
    ``ambient + sum_i strength_i * diffuse * max(0, n . l_i)`` times its colour, and highlights on top; with
    ``linear_light`` that is the linear light, which the sRGB curve (IEC 61966-2-1) turns into the pixel's value.

    Attributes:
        face: colour of the faces; None draws no faces but lets them hide the edges behind them.
        edge: colour of the feature edges, or None for none.
        edge_width: in pixels.
        ambient, diffuse, specular: material, as in Phong's model.
        ambient_colour: colour of the ambient part, in place of the faces' own; None is the faces' own.
        shininess: exponent of the highlight.
        lights: one or more lights.
        background: colour of the background.
        horizon: if given, the colour of the bottom edge: the background is a gradient from top to bottom.
        antialias: samples a pixel; 0 or 1 gives hard edges.
        linear_light: whether light adds up linearly and is encoded as sRGB, as cameras and newer viewers do.
        normals: whether a face's colour is its unit normal in the camera's axes (right, up, towards the eye), mapped
            from [-1, 1] to [0, 255], whatever the light.
        smooth: whether curved faces are shaded smoothly; otherwise facets show.
    """

    face: Colour | None = (0.75, 0.75, 0.78)
    edge: Colour | None = (0.0, 0.0, 0.0)
    edge_width: float = 1.0
    ambient: float = 0.25
    diffuse: float = 0.7
    specular: float = 0.0
    ambient_colour: Colour | None = None
    shininess: float = 20.0
    lights: tuple[Light, ...] = (Light(),)
    background: Colour = (1.0, 1.0, 1.0)
    horizon: Colour | None = None
    antialias: int = 0
    linear_light: bool = False
    normals: bool = False
    smooth: bool = True


#: The look of the GenCAD renders: 141 of 255 under the isometric angle, 160 on the ridge of a cylinder, and a little
#: less in the blue (138, 157). Fitted to the renders' brightness against the angle, to within a grey level.
GENCAD_LOOK = Look(
    face=(1.0, 1.0, 1.0), ambient=0.06, ambient_colour=(1.0, 1.0, 0.823), diffuse=0.357, linear_light=True
)

#: Shaded like a CAD program's window, with soft edges.
CAD_LOOK = Look(
    face=(0.72, 0.76, 0.82),
    edge=(0.1, 0.1, 0.12),
    edge_width=1.2,
    ambient=0.3,
    diffuse=0.5,
    specular=0.1,
    lights=(Light((0.3, 0.6, 1.0)), Light((-1.0, 0.1, 0.4), strength=0.3)),
    background=(1.0, 1.0, 1.0),
    horizon=(0.86, 0.89, 0.93),
    antialias=8,
)
