"""The number that CAD-Coder's published evaluator gives for a pair, faults included, by OpenCascade: seconds a pair.

What it does was derived from the paper (Doris et al., "CAD-Coder", 2025, Appendix A) and from its published numbers:
all 25 reference values come out to four decimals. Both parts are moved to their centroids and scaled to a radius of
gyration sqrt(tr(I) / V) of one; the axes are numpy's ``eigh`` vectors of the inertia tensors of the parts *as given*;
the first part is then mapped by ``W F V^T`` with F each of the four proper sign changes, and the largest
``volume(A and B) / volume(A or B)`` counts. Its faults, kept here:

* the vectors may form a reflection, and then all four maps are mirror images;
* where moments are equal the vectors hang on the last bits of the inertia;
* the map is applied by ``transformGeometry``, which turns every face of the *first* part into NURBS; the volume of a
  cylinder is then up to 0.9 % too large, and booleans between NURBS and exact faces are slow and sometimes wrong.

This file needs cadquery and numpy alone and is itself sent into the sandbox as text, because geometry that untrusted
code made is never opened in a trusted process.
"""

from __future__ import annotations

from typing import Any

#: The proper sign changes of three axes.
SIGNS = ((1.0, 1.0, 1.0), (1.0, -1.0, -1.0), (-1.0, 1.0, -1.0), (-1.0, -1.0, 1.0))


def mass(shape: Any) -> tuple[float, list[float], list[list[float]]]:
    """Return (volume, centroid (3,), central inertia tensor (3, 3)) of a cadquery Shape, as plain numbers."""
    from OCP.BRepGProp import BRepGProp
    from OCP.GProp import GProp_GProps

    props = GProp_GProps()
    BRepGProp.VolumeProperties_s(shape.wrapped, props)
    centre, tensor = props.CentreOfMass(), props.MatrixOfInertia()
    rows = [[tensor.Value(i, j) for j in (1, 2, 3)] for i in (1, 2, 3)]
    return props.Mass(), [centre.X(), centre.Y(), centre.Z()], rows


def published_iou(made: Any, truth: Any, made_mass: Any = None) -> float:
    """Return the published evaluator's IoU of two cadquery Shapes, in [0, 1] but for its faults.

    Args:
        made: the part made by the script.
        truth: the true part.
        made_mass: what :func:`mass` gave for ``made`` where the script ran. Written to a file and read again, a part
            keeps 15 digits of its numbers; where moments are equal, the axes hang on the others.
    """
    import cadquery as cq
    import numpy as np

    normal, vectors = [], []
    for shape, given in ((made, made_mass), (truth, None)):
        volume, centre, tensor = given or mass(shape)
        scale = 1.0 / float(np.sqrt(np.trace(np.array(tensor)) / volume))
        normal.append(shape.translate(cq.Vector(*(-c for c in centre))).scale(scale))
        vectors.append(np.linalg.eigh(np.array(tensor))[1])
    best = 0.0
    for signs in SIGNS:
        turn = np.zeros((3, 4))
        turn[:, :3] = vectors[1] @ np.diag(signs) @ vectors[0].T
        moved = normal[0].transformGeometry(cq.Matrix([[float(v) for v in row] for row in turn]))
        union = moved.fuse(normal[1]).Volume()
        if union > 0:
            best = max(best, moved.intersect(normal[1]).Volume() / union)
    return best
