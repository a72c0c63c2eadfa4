"""The orientation relationship of two crystals and the interface it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heterodot.crystal import Crystal

if TYPE_CHECKING:
    from collections.abc import Sequence

Indices = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class OrientationRelationship:
    """Plane ‖ plane and direction ‖ direction of two crystals, with their coincidence cell.

    Convention: crystal A lies below the interface and B above it. ``plane_a`` points out of A,
    ``plane_b`` points into B, and the rotation carries B's normal onto A's and B's direction onto
    A's: ``rotation @ normal_b == normal_a``. All indices refer to the cells of ``crystal_a`` and
    ``crystal_b`` as given.

    Attributes
    ----------
    crystal_a, crystal_b : Crystal
        The two crystals.
    plane_a, plane_b : three ints
        Coprime Miller indices of the planes that meet.
    direction_a, direction_b : three ints
        Coprime [uvw] in those planes that are parallel (within the strain).
    direction2_a, direction2_b : three ints
        A second pair of parallel in-plane directions.
    rotation : (3, 3) array
        Proper rotation, column vectors, Cartesian of B -> Cartesian of A.
    mesh_a, mesh_b : (2, 3) array
        Primitive surface meshes as rows of [uvw] (half-integers where a cell is centered).
    cell_a, cell_b : (2, 2) int array
        Coincidence cell in each mesh: ``cell_a @ mesh_a`` meets ``cell_b @ mesh_b``.
    area : float
        Area of the coincidence cell on A, Å².
    mismatch : (2,) array
        Signed mismatch along direction and direction2: period of B over period of A, minus one.
    strain : (2, 2) array
        Symmetric strain that brings B's coincidence cell onto A's, in the axes
        (direction_a, normal_a x direction_a); negative where B has to shrink.
    strain_max : float
        Largest magnitude of its principal values.
    score : float
        Rank figure, lower is better; its parts are in ``parts``.
    parts : mapping of str to float
        What the score is made of.
    rank : int
        Position in the search that found it, from 1; 0 for a relation of its own.
    """

    crystal_a: Crystal
    crystal_b: Crystal
    plane_a: Indices
    plane_b: Indices
    direction_a: Indices
    direction_b: Indices
    direction2_a: Indices
    direction2_b: Indices
    rotation: NDArray[np.float64]
    mesh_a: NDArray[np.float64]
    mesh_b: NDArray[np.float64]
    cell_a: NDArray[np.int64]
    cell_b: NDArray[np.int64]
    area: float
    mismatch: NDArray[np.float64]
    strain: NDArray[np.float64]
    strain_max: float
    score: float = float("nan")
    parts: Mapping[str, float] = field(default_factory=dict)
    rank: int = 0

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit normal of the interface in A's Cartesian frame, from A into B, (3,)."""
        return self.crystal_a.plane_normal(self.plane_a)

    @property
    def label(self) -> str:
        """Planes and directions in the field's notation.

        ``(2 1 0)CsPbCl3 ‖ (2 2 1)PbS, [0 0 1]CsPbCl3 ‖ [1 -1 0]PbS``
        """
        a, b = self.crystal_a.formula, self.crystal_b.formula
        return (
            f"{plane_text(self.plane_a)}{a} ‖ {plane_text(self.plane_b)}{b}, "
            f"{direction_text(self.direction_a)}{a} ‖ {direction_text(self.direction_b)}{b}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the relation as plain data: integers for indices, fractions for mismatch."""
        return {
            "plane_a": list(self.plane_a),
            "plane_b": list(self.plane_b),
            "direction_a": list(self.direction_a),
            "direction_b": list(self.direction_b),
            "direction2_a": list(self.direction2_a),
            "direction2_b": list(self.direction2_b),
            "rotation_b_to_a": _plain(self.rotation),
            "mesh_a": _plain(self.mesh_a),
            "mesh_b": _plain(self.mesh_b),
            "cell_a": _plain(self.cell_a),
            "cell_b": _plain(self.cell_b),
            "area": self.area,
            "mismatch": _plain(self.mismatch),
            "strain": _plain(self.strain),
            "strain_max": self.strain_max,
            "score": None if np.isnan(self.score) else self.score,
            "parts": {key: float(value) for key, value in self.parts.items()},
            "rank": self.rank,
            "label": self.label,
        }

    def to_record(self) -> dict[str, Any]:
        """Return everything needed to make the same relation again (see `from_record`)."""
        record = self.to_json()
        record["crystal_a"] = self.crystal_a.to_record()
        record["crystal_b"] = self.crystal_b.to_record()
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> OrientationRelationship:
        """Return the relation that `to_record` wrote."""

        def triple(key: str) -> Indices:
            u, v, w = (int(x) for x in record[key])
            return (u, v, w)

        return cls(
            Crystal.from_record(record["crystal_a"]),
            Crystal.from_record(record["crystal_b"]),
            triple("plane_a"),
            triple("plane_b"),
            triple("direction_a"),
            triple("direction_b"),
            triple("direction2_a"),
            triple("direction2_b"),
            np.array(record["rotation_b_to_a"], dtype=float),
            np.array(record["mesh_a"], dtype=float),
            np.array(record["mesh_b"], dtype=float),
            np.array(record["cell_a"], dtype=np.int64),
            np.array(record["cell_b"], dtype=np.int64),
            float(record["area"]),
            np.array(record["mismatch"], dtype=float),
            np.array(record["strain"], dtype=float),
            float(record["strain_max"]),
            float("nan") if record.get("score") is None else float(record["score"]),
            dict(record.get("parts", {})),
            int(record.get("rank", 0)),
        )


@dataclass(frozen=True)
class Interface:
    """One way in which the atoms of an orientation relationship meet.

    Both crystals are infinite until they are cut: A keeps what lies at or below its terminating
    plane, B what lies at or above its own. `transform` gives the map that brings B to A.

    Attributes
    ----------
    relation : OrientationRelationship
        Planes, directions, coincidence cell.
    termination_a, termination_b : str
        Outermost layers, e.g. ``"PbCl2"`` and ``"PbS"``; a shared layer is named in both.
    shared : str or None
        Element of the layer that both crystals share (``"Pb"``), None where there is none. The
        atoms of B's terminating layer then lie in A's; those within reach of an atom of A are the
        same atoms and have to be dropped from one of the two.
    offset_a, offset_b : float
        Position of the terminating plane along the normal in each crystal, as a fraction of its
        lattice period along the normal (0 at the cell origin). The period is the distance of
        lattice planes, ``period_a`` and ``period_b``.
    shift : (2,) tuple of float
        Rigid in-plane shift of B's cell origin against A's, as fractions of ``relation.mesh_a``.
    gap : float
        Distance between the two terminating planes, Å (0 for a shared layer).
    registry : float
        Fraction of the cations of the sparser crystal that have a cation of the other within
        ``tolerance`` where the crystals meet (0 to 1).
    energy : mapping of str to float
        ``adhesion`` and ``interface`` energies, eV/Å², where they were computed.
    period_a, period_b : float
        Distance of lattice planes along the normal, Å.
    charge_a, charge_b : float
        Formal charge of the terminating layers, e/Å²; NaN where not known.
    tolerance : float
        Distance within which two cation sites count as one, Å.
    parts : mapping of str to float
        What else is known: ``ions`` (registry of all ions, Gaussian weights), ``imbalance``
        (magnitude of the charge that the junction leaves uncompensated, e/Å²).
    """

    relation: OrientationRelationship
    termination_a: str
    termination_b: str
    shared: str | None
    offset_a: float
    offset_b: float
    shift: tuple[float, float]
    gap: float
    registry: float
    energy: Mapping[str, float] = field(default_factory=dict)
    period_a: float = float("nan")
    period_b: float = float("nan")
    charge_a: float = float("nan")
    charge_b: float = float("nan")
    tolerance: float = 0.6
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def strain(self) -> NDArray[np.float64]:
        """In-plane strain that fits B to A as a (3, 3) tensor in A's Cartesian frame."""
        relation = self.relation
        first = relation.crystal_a.direction(relation.direction_a)
        x = first / np.linalg.norm(first)
        axes = np.column_stack([x, np.cross(relation.normal, x)])
        return np.asarray(axes @ relation.strain @ axes.T)

    def transform(
        self, *, strained: bool = True
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (matrix, translation) that carry B's Cartesian frame into A's.

        ``v_a = matrix @ v_b + translation``. Crystal A stays as it is: it keeps atoms with
        ``v_a @ relation.normal <= offset_a * period_a`` and B those with
        ``v_a @ relation.normal >= offset_a * period_a + gap`` (a little more or less for rumpled
        layers; any whole number of periods up or down is the same crystal).

        Parameters
        ----------
        strained : bool
            Include the in-plane strain that makes B fit A exactly, so that the coincidence cell
            is common to both; otherwise ``matrix`` is the rotation and the sites coincide at the
            origin of the shift only.

        Returns
        -------
        matrix : (3, 3) array
            ``(1 + strain) @ rotation`` or the rotation alone.
        translation : (3,) array
            Å.
        """
        relation = self.relation
        matrix = np.array(relation.rotation)
        if strained:
            matrix = (np.eye(3) + self.strain) @ matrix
        normal_b = relation.crystal_b.plane_normal(relation.plane_b)
        from_b = self.offset_b * self.period_b * normal_b
        in_plane = np.array(self.shift) @ relation.mesh_a @ relation.crystal_a.cell
        onto = (self.offset_a * self.period_a + self.gap) * relation.normal + in_plane
        return matrix, onto - matrix @ from_b

    @property
    def height(self) -> float:
        """Height of A's terminating plane along the normal in A's frame, Å (mod ``period_a``)."""
        return self.offset_a * self.period_a

    def to_json(self) -> dict[str, Any]:
        """Return the interface as plain data (without the relation)."""
        matrix, translation = self.transform()
        return {
            "termination_a": self.termination_a,
            "termination_b": self.termination_b,
            "shared": self.shared,
            "offset_a": self.offset_a,
            "offset_b": self.offset_b,
            "period_a": self.period_a,
            "period_b": self.period_b,
            "shift": list(self.shift),
            "gap": self.gap,
            "registry": self.registry,
            "tolerance": self.tolerance,
            "charge_a": None if np.isnan(self.charge_a) else self.charge_a,
            "charge_b": None if np.isnan(self.charge_b) else self.charge_b,
            "energy": {key: float(value) for key, value in self.energy.items()},
            "parts": {key: float(value) for key, value in self.parts.items()},
            "matrix_b_to_a": _plain(matrix),
            "translation_b_to_a": _plain(translation),
        }

    def to_record(self) -> dict[str, Any]:
        """Return everything needed to make the same interface again (see `from_record`)."""
        record = self.to_json()
        record["relation"] = self.relation.to_record()
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Interface:
        """Return the interface that `to_record` wrote."""

        def number(key: str) -> float:
            return float("nan") if record.get(key) is None else float(record[key])

        one, two = record["shift"]
        return cls(
            OrientationRelationship.from_record(record["relation"]),
            str(record["termination_a"]),
            str(record["termination_b"]),
            record["shared"],
            float(record["offset_a"]),
            float(record["offset_b"]),
            (float(one), float(two)),
            float(record["gap"]),
            float(record["registry"]),
            dict(record.get("energy", {})),
            number("period_a"),
            number("period_b"),
            number("charge_a"),
            number("charge_b"),
            float(record.get("tolerance", 0.6)),
            dict(record.get("parts", {})),
        )


def plane_text(indices: Sequence[int]) -> str:
    """Return ``(h k l)``."""
    return "(" + " ".join(str(int(i)) for i in indices) + ")"


def direction_text(indices: Sequence[int]) -> str:
    """Return ``[u v w]``."""
    return "[" + " ".join(str(int(i)) for i in indices) + "]"


def _plain(array: Any) -> Any:
    return np.asarray(array).tolist()
