"""Files of nonadiabatic dynamics: formats as the programs write them, known decays, bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest

from heterodot.cli.main import main
from heterodot.electronic.hopping import HoppingPopulations, read_hopping
from heterodot.electronic.trajectory import read_trajectory
from heterodot.errors import InputError

HARTREE = 27.211386245988
ATOMIC_TIME = 2.4188843265857e-5  # ps


def decays(tau: float, n: int, runs: int, step: float, noise: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(3)
    t = np.arange(n) * step
    p = np.exp(-t / tau) + noise * rng.normal(size=(runs, 1)) * np.sin(np.pi * t / t[-1])
    p = np.clip(p, 0, 1)
    return np.stack([p, 1 - p], axis=2)


def pyxaid(folder, runs: np.ndarray, name: str = "out") -> None:
    for k, run in enumerate(runs):
        lines = []
        for i, row in enumerate(run):
            cells = " ".join(f"P({j})= {x:.10g} " for j, x in enumerate(row))
            lines.append(f"time {i} {cells}" + ("Total= 1" if name == "me_pop" else ""))
        (folder / f"{name}{k}").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("name", ["out", "me_pop"])
def test_pyxaid_populations_and_their_lifetime(tmp_path, name) -> None:
    pyxaid(tmp_path, decays(0.4, 1000, 8, 0.001, 0.02), name)
    found = read_hopping(tmp_path, step=0.001)
    assert found.runs.shape == (8, 1000, 2)
    assert found.times[-1] == pytest.approx(0.999)
    np.testing.assert_allclose(found.mean.sum(axis=1), 1.0, atol=1e-8)
    life = found.lifetime()
    assert life.error is not None
    assert abs(life.value - 0.4) < 4 * life.error + 0.002
    # the jackknife of a mean is its standard error: rises with the noise
    (tmp_path / "more").mkdir()
    pyxaid(tmp_path / "more", decays(0.4, 1000, 8, 0.001, 0.06), name)
    more = read_hopping(tmp_path / "more", step=0.001).lifetime()
    assert more.error is not None
    assert more.error == pytest.approx(3 * life.error, rel=0.2)
    with pytest.raises(InputError, match="time step"):
        read_hopping(tmp_path)


def test_hefei_columns_are_time_energy_populations(tmp_path) -> None:
    run = decays(0.3, 500, 2, 0.001)
    for k in (1, 7):
        table = np.column_stack([np.arange(1, 501.0), np.full(500, -1.2), run[0]])
        np.savetxt(tmp_path / f"SHPROP.{k:05d}", table, fmt="%10.4f")
    found = read_hopping(tmp_path)
    assert len(found.runs) == 2
    assert found.times[1] - found.times[0] == pytest.approx(0.001)
    assert found.lifetime().value == pytest.approx(0.3, rel=0.01)
    np.savetxt(tmp_path / "SHPROP.00009", table[:300], fmt="%10.4f")
    with pytest.raises(InputError, match="other times or states"):
        read_hopping(tmp_path)


def test_libra_hdf_is_in_atomic_units(tmp_path) -> None:
    import h5py

    run = decays(0.3, 400, 3, 0.001)
    for k in range(3):
        place = tmp_path / f"FSSH_icond_{k}"
        place.mkdir()
        with h5py.File(place / "mem_data.hdf", "w") as file:
            file["time/data"] = np.arange(400) * 0.001 / ATOMIC_TIME
            file["sh_pop_adi/data"] = run[k]
    found = read_hopping(tmp_path)
    assert found.runs.shape == (3, 400, 2)
    assert found.times[-1] == pytest.approx(0.399, rel=1e-6)
    (tmp_path / "mem_data.hdf").write_bytes(b"no hdf")
    with pytest.raises(InputError, match="not an HDF5"):
        read_hopping(tmp_path / "mem_data.hdf")
    with h5py.File(tmp_path / "mem_data.hdf", "w") as file:
        file["time/data"] = np.arange(4.0)
    with pytest.raises(InputError, match="no populations"):
        read_hopping(tmp_path / "mem_data.hdf")


def test_libra_sparse_series_is_in_hartree(tmp_path) -> None:
    from scipy.sparse import csc_matrix, save_npz

    for k in range(1000, 1012):
        save_npz(tmp_path / f"Hvib_ci_{k}_re.npz", csc_matrix(np.diag([0.0, 0.08, 0.081])))
        save_npz(tmp_path / f"St_ci_{k}_re.npz", csc_matrix(np.eye(3)))
    found = read_trajectory(tmp_path, step=0.001)
    assert found.source.startswith("Hvib_ci_")
    assert found.energies.shape == (12, 3)
    assert found.edges() == (0, 1)
    assert found.gap(0, 1)[0] == pytest.approx(0.08 * HARTREE)
    (tmp_path / "Hvib_ci_1003_re.npz").write_bytes(b"PK nonsense")
    with pytest.raises(InputError, match="not a sparse matrix"):
        read_trajectory(tmp_path, step=0.001)


def test_unit_follows_the_program_or_has_to_be_said(tmp_path) -> None:
    for k in range(9):
        np.savetxt(tmp_path / f"0_Ham_{k}_re", np.diag([0.0, 0.1]))
        np.savetxt(tmp_path / f"other{k}_re", np.diag([0.0, 0.1]))
    rydberg = read_trajectory(tmp_path / "0_Ham_0_re", step=0.001)
    assert rydberg.gap(0, 1)[0] == pytest.approx(0.1 * HARTREE / 2)
    with pytest.raises(InputError, match="unit"):
        read_trajectory(tmp_path / "other0_re", step=0.001)
    assert read_trajectory(tmp_path / "other0_re", step=0.001, unit="eV").gap(0, 1)[0] == 0.1


def test_what_are_no_populations_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="add up to"):
        HoppingPopulations(np.arange(4.0), np.full((1, 4, 2), 0.3))
    (tmp_path / "out0").write_text("time 0 P(0)= 1 P(1)= 0\ntime 1 P(0)= 0.9\n")
    with pytest.raises(InputError, match="line 2"):
        read_hopping(tmp_path, step=0.001)
    with pytest.raises(InputError, match="no populations that are known"):
        read_hopping(tmp_path / "none", step=0.001) if (tmp_path / "none").mkdir() else None
        read_hopping(tmp_path / "none", step=0.001)
    still = HoppingPopulations(np.arange(9.0), np.tile([1.0, 0.0], (3, 9, 1)))
    assert np.isinf(still.lifetime().value)
    with pytest.raises(InputError, match="no state 5"):
        still.lifetime(5)
    one = HoppingPopulations(np.arange(300) * 0.01, decays(0.5, 300, 1, 0.01))
    assert one.error is None
    assert one.lifetime().error is None


def run(args: list[str]) -> int:
    with pytest.raises(SystemExit) as stop:
        main(args)
    return int(stop.value.code or 0)


def test_trajectory_on_the_command_line(tmp_path, capsys) -> None:
    rng = np.random.default_rng(0)
    time = np.arange(4000) * 0.001
    wave = 0.05 * np.cos(2 * np.pi * 200 * 2.99792458e-2 * time) + rng.normal(0, 0.005, 4000)
    np.savetxt(tmp_path / "EIGTXT", np.stack([wave * 0 - 2, wave - 0.6, wave - 0.5], axis=1))
    pyxaid(tmp_path, decays(0.4, 1000, 5, 0.001, 0.02))
    figure, table = tmp_path / "gap.svg", tmp_path / "p.csv"
    args = ["trajectory", str(tmp_path), "--figure", str(figure), "--table", str(table)]
    assert run([*args, "--json", "-q"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "heterodot/trajectory/1"
    assert document["gap"]["bands"] == [0, 1]
    assert document["gap"]["mean_gap"]["value"] == pytest.approx(1.4, abs=0.01)
    assert document["gap"]["lines_per_cm"][0][0] == pytest.approx(200, abs=6)
    life = document["populations"]["lifetime"]
    assert abs(life["value"] - 0.4) < 0.03
    assert life["unit"] == "ps"
    assert "<svg" in figure.read_text()
    assert table.read_text().startswith("time (ps),state 0,state 1,error of state 0")
    assert run(["trajectory", str(tmp_path), "-q"]) == 0
    assert "decoherence time" in capsys.readouterr().out
    assert run(["trajectory", str(tmp_path), "--bands", "0", "9", "-q"]) == 3
    (tmp_path / "empty").mkdir()
    assert run(["trajectory", str(tmp_path / "empty"), "-q"]) == 3
    assert "neither band energies nor populations" in capsys.readouterr().err
    assert run(["trajectory", str(tmp_path / "nowhere"), "-q"]) == 3
    assert run(["trajectory", "--help"]) == 0
