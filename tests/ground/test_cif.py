"""CIF files, good ones read by another program's rules, bad ones refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.io import read as ase_read
from ase.io import write as ase_write

from heterodot.cif import read_cif, write_cif
from heterodot.crystal import Crystal
from heterodot.errors import InputError

GOOD = """data_PbS
_cell_length_a 5.936(2)
_cell_length_b 5.936
_cell_length_c 5.936
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F m -3 m'
_chemical_formula_sum 'Pb S'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Pb1 0 0 0 1
S1 0.5 0.5 0.5 1
"""


def test_reads_what_ase_reads(tmp_path: Path) -> None:
    path = tmp_path / "PbS.cif"
    path.write_text(GOOD)
    ours, theirs = read_cif(path), ase_read(path)
    assert len(ours) == len(theirs) == 8
    assert ours.volume == pytest.approx(theirs.get_volume())
    assert ours.charge_of("S") == -2
    assert ours.symmetry.number == 225


def test_reads_ase_output_with_listed_operations(tmp_path: Path, cspbcl3: Crystal) -> None:
    path = tmp_path / "a.cif"
    ase_write(path, cspbcl3.atoms)
    again = read_cif(path)
    assert again.symmetry.number == 221
    assert again.formula == "CsPbCl3"


def test_oxidation_states_of_the_file_win(tmp_path: Path) -> None:
    path = tmp_path / "a.cif"
    path.write_text(GOOD + "loop_\n_atom_type_symbol\n_atom_type_oxidation_number\nPb 4\nS -4\n")
    assert read_cif(path).charge_of("Pb") == 4


def test_write_then_read_is_the_same_crystal(tmp_path: Path, cds: Crystal) -> None:
    path = write_cif(tmp_path / "a.cif", cds.atoms, name="CdS zb", comment="made by a test")
    again = read_cif(path)
    assert again.symmetry.number == 216
    assert np.allclose(np.sort(again.scaled, 0), np.sort(cds.scaled, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: "", "is empty"),
        (lambda t: t[:40], "not a whole CIF"),
        (lambda t: t[: t.index("loop_")], "no atom sites"),
        (lambda t: t.replace("S1 0.5 0.5 0.5 1\n", "S1 0.5 0.5"), "not a whole CIF"),
        (lambda t: t.replace("S1 0.5 0.5 0.5 1\n", ""), "disagree on S"),
        (lambda t: t.replace("_space_group_name_H-M_alt 'F m -3 m'\n", ""), "no symmetry"),
        (lambda t: t.replace("F m -3 m", "F m 3 x"), "not a space group"),
        (lambda t: t.replace("0.5 0.5 0.5 1", "0.5 0.5 0.5 0.9"), r"partly occupied.*S1 \(0.9\)"),
        (lambda t: t.replace("0.5 0.5 0.5 1", "0.5 ? 0.5 1"), "no coordinates"),
        (lambda t: t.replace("_cell_length_b 5.936\n", ""), "_cell_length_b"),
        (lambda t: t + t.replace("data_PbS", "data_two"), "2 structures"),
        (lambda t: t.replace("'Pb S'", "'Pb2 S'"), "its sites make PbS"),
        (lambda t: t.replace("Pb1 0", "Qx1 0"), "element"),
        (lambda t: "\x00\x01\x02" * 50, "binary"),
    ],
)
def test_bad_files_are_refused_with_file_and_reason(
    tmp_path: Path, change: object, message: str
) -> None:
    path = tmp_path / "bad.cif"
    path.write_text(change(GOOD))  # type: ignore[operator]
    with pytest.raises(InputError, match=message) as caught:
        read_cif(path)
    assert "bad.cif" in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_cif(tmp_path / "none.cif")
    with pytest.raises(InputError, match="is a folder"):
        read_cif(tmp_path)
