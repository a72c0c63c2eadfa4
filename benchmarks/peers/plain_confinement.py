"""The same levels by a plain sparse eigensolver: CSR matrix, scipy's shift-invert Lanczos or LOBPCG.

Usage: python benchmarks/peers/plain_confinement.py SPACING [lobpcg|amg|eigsh]
Prints CPU seconds of ours (without Coulomb terms) and of the plain solver for three electron
states of a CsPbCl3 cube with a PbS cap, on the same operator. ``amg`` needs pyamg.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import eigsh, lobpcg

from heterodot.electronic.confinement import Well, cells, first_guess, solve_on
from heterodot.electronic.ideal import cube_and_cap
from heterodot.electronic.levels import barrier
from heterodot.electronic.materials import medium, pure


def main() -> None:
    spacing, method = float(sys.argv[1]), (sys.argv[2] if len(sys.argv) > 2 else "lobpcg")
    bulk = (pure("CsPbCl3"), pure("PbS"))
    bands, wall = tuple(m.electron for m in bulk), barrier(medium(), "electron")
    warm = cube_and_cap("CsPbCl3", "PbS", 30.0, 26.0, 3.0)
    solve_on(warm, warm.coarsened(), bands, wall, 3)
    shape = cube_and_cap("CsPbCl3", "PbS", 50.0, 44.0, spacing)
    start = time.process_time()
    ours = solve_on(shape, shape.coarsened(), bands, wall, 3)
    print("voxels", shape.points, "ours", round(time.process_time() - start, 2), "CPU s")
    well = Well(cells(shape), bands, wall)
    _, operator = well.parts(ours.solution.reference)
    n = len(operator.diagonal)
    rows = np.repeat(np.arange(n), 6)
    matrix = sp.csr_matrix(
        (operator.links.reshape(-1), (rows, operator.neighbors.reshape(-1))), shape=(n, n)
    ) + sp.diags(operator.diagonal)
    shifted = matrix - sp.diags(np.full(n, well.start()))
    guess = first_guess(well, 5, 0).T
    start = time.process_time()
    if method == "eigsh":
        values = eigsh(shifted, k=3, sigma=0.0, which="LM", return_eigenvectors=False, tol=1e-5)
    elif method == "amg":
        import pyamg

        inverse = pyamg.smoothed_aggregation_solver(shifted).aspreconditioner()
        values, _ = lobpcg(shifted, guess, M=inverse, largest=False, tol=4e-3, maxiter=300)
    else:
        diagonal = sp.diags(1 / shifted.diagonal())
        values, _ = lobpcg(shifted, guess, M=diagonal, largest=False, tol=4e-3, maxiter=2000)
    taken = round(time.process_time() - start, 2)
    print(
        method, taken, "CPU s", np.sort(values)[:3] + well.start(), "ours", ours.solution.energies
    )


if __name__ == "__main__":
    main()
