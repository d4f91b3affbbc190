"""A solid as a closed triangle mesh, with exact mass properties and fast booleans (manifold3d)."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import Any

import manifold3d
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cadcoder.errors import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

#: Shells that hold less than this fraction of the whole volume are boolean crumbs, not bodies.
CRUMB = 1e-7


def as_manifold(vertices: ArrayLike, faces: ArrayLike) -> manifold3d.Manifold:
    """Hand triangles to manifold3d, which wants writeable contiguous arrays; the caller looks at its status."""
    return manifold3d.Manifold(
        manifold3d.Mesh64(np.array(vertices, dtype=np.float64, order="C"), np.array(faces, dtype=np.uint64, order="C"))
    )


class Solid:
    """An immutable closed triangle mesh; outward normals, counter-clockwise faces.

    Attributes:
        vertices: (V, 3) float64, in the part's own unit; read-only.
        faces: (F, 3) int32 indices into ``vertices``, counter-clockwise seen from outside; read-only.
        surfaces: (F,) int32, the surface that each face lies on, or None where that is not known. Equal numbers
            divided by four are one surface of the boundary representation; the remainders 0, 1, 2 are the thirds of
            a full cylinder from its seam, so that neighbours in the thirds 0 and 2 meet at the seam.
        notes: what had to be done to make the mesh closed, for the rows of an evaluation (empty if nothing).
    """

    def __init__(self, vertices: ArrayLike, faces: ArrayLike, notes: tuple[str, ...] = ()) -> None:
        """Copy the arrays.

        Raises:
            InputError: if the arrays have the wrong shape, point outside, or hold numbers that are not finite.
        """
        v = np.array(vertices, dtype=np.float64, order="C")
        f = np.array(faces, dtype=np.int32, order="C")
        if v.ndim != 2 or v.shape[1:] != (3,) or f.ndim != 2 or f.shape[1:] != (3,):
            raise InputError(f"a solid needs vertices (V, 3) and faces (F, 3), not {v.shape} and {f.shape}")
        if len(f) == 0:
            raise InputError("the solid is empty: it has no faces")
        if not np.isfinite(v).all():
            raise InputError("the solid holds a coordinate that is not a finite number")
        if f.min() < 0 or f.max() >= len(v):
            raise InputError("a face of the solid points to a vertex that does not exist")
        v.flags.writeable = False
        f.flags.writeable = False
        self.vertices: FloatArray = v
        self.faces: IntArray = f
        self.notes = notes
        self.surfaces: IntArray | None = None

    @classmethod
    def from_manifold(
        cls, manifold: manifold3d.Manifold, notes: tuple[str, ...] = (), table: IntArray | None = None
    ) -> Solid:
        """Take over a Manifold.

        Args:
            manifold: the solid.
            notes: what had to be done to make the mesh closed.
            table: surface by face number, where the faces of the Manifold were numbered so.

        Raises:
            InputError: if it is empty or in error.
        """
        if manifold.status() != manifold3d.Error.NoError:
            raise InputError(f"the solid is not a closed surface ({manifold.status().name})")
        if manifold.is_empty():
            raise InputError("the solid is empty")
        mesh = manifold.to_mesh64()
        solid = cls(mesh.vert_properties[:, :3], mesh.tri_verts, notes)
        solid.__dict__["manifold"] = manifold
        if table is not None:
            solid.surfaces = np.asarray(table, dtype=np.int32)[np.asarray(mesh.face_id, dtype=np.int64)]
        return solid

    @cached_property
    def manifold(self) -> manifold3d.Manifold:
        """The same solid as a ``manifold3d.Manifold``.

        Raises:
            InputError: if the mesh is not a closed oriented surface.
        """
        made = as_manifold(self.vertices, self.faces)
        if made.status() != manifold3d.Error.NoError or made.is_empty():
            raise InputError(
                f"the mesh is not a closed oriented surface ({made.status().name}); repair it or export it as STEP"
            )
        return made

    @cached_property
    def _moments(self) -> tuple[float, FloatArray, FloatArray]:
        """(volume, centroid (3,), second moment about the centroid (3, 3)), by signed tetrahedra.

        The integral of x x^T over a tetrahedron (0, a, b, c) is det[a b c] / 120 times the sum of
        a a^T + b b^T + c c^T + s s^T with s = a + b + c.
        """
        shift = 0.5 * (self.vertices.min(axis=0) + self.vertices.max(axis=0))  # keeps cancellation small
        a, b, c = (self.vertices - shift)[self.faces.T]
        det = np.einsum("ij,ij->i", a, np.cross(b, c))
        volume = float(det.sum()) / 6.0
        if volume == 0.0:
            return 0.0, shift, np.zeros((3, 3))
        s = a + b + c
        first = (det[:, None] * s).sum(axis=0) / 24.0
        second = sum((p * det[:, None]).T @ p for p in (a, b, c, s)) / 120.0
        local = first / volume
        return volume, shift + local, second - volume * np.outer(local, local)

    @property
    def volume(self) -> float:
        """Enclosed volume, positive for an outward mesh (unit cubed)."""
        return self._moments[0]

    @property
    def centroid(self) -> FloatArray:
        """Centre of mass, (3,)."""
        return self._moments[1]

    @property
    def second_moment(self) -> FloatArray:
        """Integral of (x - c)(x - c)^T over the solid, (3, 3), unit to the fifth."""
        return self._moments[2]

    @property
    def inertia(self) -> FloatArray:
        """Inertia tensor about the centroid at unit density, (3, 3), exact for the mesh."""
        m = self.second_moment
        return np.asarray(np.trace(m) * np.eye(3) - m, dtype=np.float64)

    @property
    def gyration(self) -> float:
        """Radius of gyration about the centroid: sqrt(trace of the second moment / volume).

        Raises:
            InputError: if the volume is not positive.
        """
        if self.volume <= 0:
            raise InputError("the solid encloses no volume")
        return float(np.sqrt(np.trace(self.second_moment) / self.volume))

    @cached_property
    def area(self) -> float:
        """Surface area (unit squared)."""
        return float(self.face_areas.sum())

    @cached_property
    def face_areas(self) -> FloatArray:
        """Area of each face, (F,)."""
        a, b, c = self.vertices[self.faces.T]
        return np.asarray(0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1))

    @cached_property
    def bounds(self) -> FloatArray:
        """Lowest and highest corner of the axis-aligned box, (2, 3)."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    @property
    def extents(self) -> FloatArray:
        """Lengths of the axis-aligned box, (3,)."""
        return np.asarray(self.bounds[1] - self.bounds[0])

    @cached_property
    def _shells(self) -> tuple[int, FloatArray]:
        """(number of connected shells, signed volume of each); cavities are negative."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        n, f = len(self.vertices), self.faces
        rows, cols = np.concatenate([f[:, 0], f[:, 1]]), np.concatenate([f[:, 1], f[:, 2]])
        graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, cols)), shape=(n, n))
        _, label = connected_components(graph, directed=False)
        used, of_face = np.unique(label[f[:, 0]], return_inverse=True)
        a, b, c = (self.vertices - self.centroid)[f.T]
        det = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6.0
        return len(used), np.asarray(np.bincount(of_face, weights=det, minlength=len(used)), dtype=np.float64)

    @property
    def n_bodies(self) -> int:
        """Number of separate bodies; a cavity is not a body, nor is a crumb below ``CRUMB`` of the volume."""
        if "_shells" not in self.__dict__:
            with contextlib.suppress(InputError):  # not a closed surface: counted below all the same
                if len(self.manifold.decompose()) == 1:
                    return 1  # one piece without cavities, as most are: found ten times as fast
        return int((self._shells[1] > CRUMB * abs(self.volume)).sum())

    @cached_property
    def euler(self) -> int:
        """Euler characteristic V - E + F of the surface."""
        f = self.faces
        used = len(np.unique(f))
        return used - len(f) * 3 // 2 + len(f)

    @property
    def genus(self) -> int:
        """Number of handles (through holes), summed over all shells."""
        return self._shells[0] - self.euler // 2

    @cached_property
    def is_watertight(self) -> bool:
        """Whether every directed edge is met by exactly one opposite edge."""
        f = self.faces.astype(np.int64)
        n = len(self.vertices)
        start, end = f.ravel(), f[:, [1, 2, 0]].ravel()
        return bool(np.array_equal(np.sort(start * n + end), np.sort(end * n + start)))

    def transformed(self, matrix: ArrayLike) -> Solid:
        """Return the solid under an affine map; a mirror keeps the faces outward.

        Args:
            matrix: (4, 4) homogeneous or (3, 3) linear, acting on column vectors.

        Raises:
            InputError: if the matrix has another shape or flattens the solid.
        """
        m = np.asarray(matrix, dtype=np.float64)
        if m.shape == (3, 3):
            m = np.block([[m, np.zeros((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]])
        if m.shape != (4, 4):
            raise InputError(f"a transformation needs a (4, 4) or (3, 3) matrix, not {m.shape}")
        det = float(np.linalg.det(m[:3, :3]))
        if not np.isfinite(det) or det == 0.0:
            raise InputError("the transformation flattens the solid")
        moved = Solid(
            self.vertices @ m[:3, :3].T + m[:3, 3], self.faces if det > 0 else self.faces[:, ::-1], self.notes
        )
        built = self.__dict__.get("manifold")
        if built is not None:  # lazy in manifold3d; saves rebuilding its halfedges
            moved.__dict__["manifold"] = built.transform(np.ascontiguousarray(m[:3]))
        return moved

    def scaled(self, factor: float) -> Solid:
        """Return the solid scaled uniformly about the origin."""
        return self.transformed(np.diag([factor, factor, factor, 1.0]))

    def translated(self, offset: ArrayLike) -> Solid:
        """Return the solid moved by ``offset`` (3,)."""
        m = np.eye(4)
        m[:3, 3] = np.asarray(offset, dtype=np.float64)
        return self.transformed(m)

    def union(self, other: Solid) -> Solid:
        """Return the union of the two solids."""
        return Solid.from_manifold(self.manifold + other.manifold)

    def difference(self, other: Solid) -> Solid:
        """Return this solid less the other.

        Raises:
            InputError: if nothing is left.
        """
        return Solid.from_manifold(self.manifold - other.manifold)

    def intersection(self, other: Solid) -> Solid:
        """Return what the two solids share.

        Raises:
            InputError: if they share nothing.
        """
        return Solid.from_manifold(self.manifold ^ other.manifold)

    def iou(self, other: Solid) -> float:
        """Return intersection over union in place, in [0, 1]."""
        va, vb = self.volume, other.volume
        if (self.bounds[1] <= other.bounds[0]).any() or (other.bounds[1] <= self.bounds[0]).any():
            return 0.0
        shared = min(max(float((self.manifold ^ other.manifold).volume()), 0.0), va, vb)
        return shared / (va + vb - shared)

    def __repr__(self) -> str:
        x, y, z = self.extents
        return f"Solid({len(self.vertices)} vertices, {len(self.faces)} faces, {x:.4g} x {y:.4g} x {z:.4g})"

    def __getstate__(self) -> dict[str, Any]:
        return {"vertices": self.vertices, "faces": self.faces, "notes": self.notes, "surfaces": self.surfaces}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.vertices.flags.writeable = False
        self.faces.flags.writeable = False
