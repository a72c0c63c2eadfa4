"""Other engines behind ASE's Calculator, each an extra with a one-line hint how to install it.

Machine-learned potentials are taken only where their weights ship in their package, so nothing is
downloaded at run time.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from heterodot.errors import InputError, MissingExtraError, nearest


@dataclass(frozen=True)
class Engine:
    """An engine that can be asked for by name.

    Attributes
    ----------
    name : str
    package : str
        The Python package that has to be there.
    hint : str
        How to install it.
    warning : str
        Where it is known to fail on our materials, measured; empty if nothing is known.
    make : callable
        Returns the ASE calculator.
    """

    name: str
    package: str
    hint: str
    warning: str
    make: Callable[..., Any]


def _xtb(method: str) -> Callable[..., Any]:
    def make(**options: Any) -> Any:
        return importlib.import_module("tblite.ase").TBLite(method=method, verbosity=0, **options)

    return make


def _chgnet(**options: Any) -> Any:
    dynamics = importlib.import_module("chgnet.model.dynamics")
    inner = dynamics.CHGNetCalculator(use_device=options.pop("device", "cpu"), **options)
    return boxed(inner, vacuum=8.0)


def boxed(calculator: Any, vacuum: float) -> Any:
    """Return a calculator that puts finite bodies into a periodic box with empty space around.

    For potentials that know crystals only and see no farther than the ``vacuum`` (Å) on each side.
    """
    from ase.calculators.calculator import Calculator, all_changes

    class Boxed(Calculator):  # type: ignore[misc]
        implemented_properties = ("energy", "free_energy", "forces", "stress")

        def calculate(
            self,
            atoms: Any = None,
            properties: Any = ("energy",),
            system_changes: Any = all_changes,
        ) -> None:
            super().calculate(atoms, properties, system_changes)
            body = self.atoms.copy()
            if not any(body.pbc):
                body.center(vacuum=vacuum)
                body.pbc = True
            body.calc = calculator
            self.results["energy"] = float(body.get_potential_energy())
            self.results["free_energy"] = self.results["energy"]
            self.results["forces"] = body.get_forces()
            if all(self.atoms.pbc):
                self.results["stress"] = body.get_stress()

    return Boxed()


ENGINES: dict[str, Engine] = {
    "gfn1-xtb": Engine(
        "gfn1-xtb",
        "tblite",
        "pip install 'heterodot[xtb]'",
        "GFN1-xTB gives gaps of 0.02 to 0.24 eV for neutral CsPbX3 cubes and 0.05 eV for bulk PbS: "
        "do not use its orbitals, and check its geometries",
        _xtb("GFN1-xTB"),
    ),
    "gfn2-xtb": Engine(
        "gfn2-xtb",
        "tblite",
        "pip install 'heterodot[xtb]'",
        "GFN2-xTB gives gaps of 3.5 to 4.4 eV for every bulk CsPbX3, whatever X: its orbitals do "
        "not follow the halide",
        _xtb("GFN2-xTB"),
    ),
    "chgnet": Engine(
        "chgnet",
        "chgnet",
        "pip install 'heterodot[mlip]'",
        "CHGNet makes the cells of our bulk phases 0.8 to 2.6 percent too large and was trained on "
        "bulk crystals: bare surfaces and interfaces are extrapolation; 4 to 7 CPU-s a force call "
        "at 1,000 atoms",
        _chgnet,
    ),
}


def engine_names() -> list[str]:
    """Return every engine that `engine` knows, installed or not."""
    return list(ENGINES)


def engine(name: str, **options: Any) -> tuple[Any, str]:
    """Return the ASE calculator of an engine, and a warning (empty if there is none).

    Raises
    ------
    InputError
        An unknown name.
    MissingExtraError
        Its package is not installed; the message says how to get it.

    Examples
    --------
    >>> engine("gfn3")
    Traceback (most recent call last):
    ...
    heterodot.errors.InputError: 'gfn3' is not an engine; did you mean gfn2-xtb or ...
    """
    if name not in ENGINES:
        close = nearest(name, ENGINES)
        raise InputError(
            f"'{name}' is not an engine",
            remedy=f"did you mean {' or '.join(close)}?" if close else f"one of {list(ENGINES)}",
        )
    found = ENGINES[name]
    try:
        importlib.import_module(found.package)
    except ImportError as error:
        raise MissingExtraError(
            f"{found.package} is not installed, which {name} needs", remedy=found.hint
        ) from error
    return found.make(**options), found.warning
