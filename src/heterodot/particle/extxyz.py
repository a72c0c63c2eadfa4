"""Extended XYZ with every digit: what is written is what is read back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodot.errors import InputError
from heterodot.files import read_text, write_text

if TYPE_CHECKING:
    from heterodot.particle.particle import Particle

_KINDS = {"f": "R", "i": "I", "u": "I", "b": "L", "U": "S"}


def write_extxyz(path: str | Path, particle: Particle) -> Path:
    """Write a particle as extended XYZ that ASE, OVITO and VESTA open.

    Numbers are written with as many digits as it takes to read the same ones back. The domain
    table, history and notes go into the comment line as JSON under ``heterodot``.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    return write_text(path, to_extxyz(particle))


def to_extxyz(particle: Particle) -> str:
    """Return the text of `write_extxyz`."""
    columns: dict[str, Any] = {
        "domain": particle.domain,
        "role": particle.role,
        "charge": particle.charge,
        **{key: np.asarray(value) for key, value in particle.extra.items()},
    }
    header = ["species:S:1", "pos:R:3"]
    texts: list[list[str]] = [
        list(particle.symbols),
        *[[repr(float(x)) for x in particle.positions[:, k]] for k in range(3)],
    ]
    for key, array in columns.items():
        kind = _KINDS.get(array.dtype.kind)
        if kind is None or array.ndim > 2 or not re.fullmatch(r"\w+", key):
            raise InputError(f"array '{key}' cannot be written to extended XYZ", place="Particle")
        width = 1 if array.ndim == 1 else array.shape[1]
        header.append(f"{key}:{kind}:{width}")
        flat = array.reshape(len(array), -1)
        for k in range(flat.shape[1]):
            column = flat[:, k]
            if kind == "R":
                texts.append([repr(float(x)) for x in column])
            elif kind == "I":
                texts.append([str(int(x)) for x in column])
            elif kind == "L":
                texts.append(["T" if x else "F" for x in column])
            else:
                texts.append([str(x) or "_" for x in column])
    note = json.dumps(particle.to_info(), separators=(",", ":"), sort_keys=True)
    note = note.replace("\\", "\\\\").replace('"', '\\"')
    comment = (
        f'Properties={":".join(header)} heterodot="_JSON {note}" '
        f'formula={particle.formula or "empty"} net_charge={particle.net_charge!r} pbc="F F F"'
    )
    lines = [str(len(particle)), comment]
    lines += [" ".join(row) for row in zip(*texts, strict=True)]
    return "\n".join(lines) + "\n"


def read_extxyz(path: str | Path) -> Particle:
    """Return the particle in an (extended) XYZ file.

    A file that Heterodot wrote gives the particle back exactly. Any other XYZ gives one domain
    named by its formula, charges from common oxidation states (zero where they are not known,
    which ``info["charges"]`` then says), and role ``core`` for every atom.

    Raises
    ------
    InputError
        Not an XYZ file, or cut off; the line is named.
    """
    text = read_text(path)
    return parse_extxyz(text, path)


def parse_extxyz(text: str, path: str | Path) -> Particle:
    """Return the particle in the text of an (extended) XYZ file named ``path`` in errors."""
    lines = text.splitlines()
    try:
        n = int(lines[0].split()[0])
    except (IndexError, ValueError):
        raise InputError(
            "does not start with a number of atoms",
            file=path,
            place="line 1",
            remedy="give an XYZ file",
        ) from None
    if n < 1 or n > 50_000_000:
        raise InputError(f"claims {n} atoms", file=path, place="line 1")
    if len(lines) < n + 2:
        raise InputError(
            f"has {max(len(lines) - 2, 0)} of {n} atoms",
            file=path,
            place=f"line {len(lines)}",
            remedy="the file is cut off; write it again",
        )
    info = _comment(lines[1] if len(lines) > 1 else "")
    layout = _layout(info.get("Properties", "species:S:1:pos:R:3"), path)
    width = sum(count for _, _, count in layout)
    rows = []
    for k in range(n):
        row = lines[k + 2].split()
        if len(row) < width:
            raise InputError(
                f"has {len(row)} columns where {width} are due", file=path, place=f"line {k + 3}"
            )
        rows.append(row[:width])
    table = list(zip(*rows, strict=True))
    arrays: dict[str, Any] = {}
    at = 0
    for key, kind, count in layout:
        try:
            stack = [_column(table[at + k], kind) for k in range(count)]
        except ValueError as error:
            raise InputError(f"column '{key}' holds {error}", file=path) from None
        arrays[key] = stack[0] if count == 1 else np.stack(stack, axis=1)
        at += count
    return _assemble(arrays, info, path)


def _assemble(arrays: dict[str, Any], info: dict[str, str], path: str | Path) -> Particle:
    from ase.data import atomic_numbers

    from heterodot.particle.particle import ROLES, Domain, Particle

    if "pos" not in arrays or "species" not in arrays:
        raise InputError("has no species or positions", file=path, place="line 2")
    symbols = tuple(str(s) for s in arrays.pop("species"))
    positions = arrays.pop("pos")
    odd = sorted({s for s in symbols if s not in atomic_numbers})
    if odd:
        raise InputError(f"'{odd[0]}' is not an element", file=path, remedy="correct the symbols")
    note = info.get("heterodot", "")
    if note.startswith("_JSON "):
        try:
            record = json.loads(note[6:])
            domains = tuple(Domain.from_record(d) for d in record["domains"])
            return Particle(
                symbols,
                positions,
                arrays.pop("domain"),
                arrays.pop("role"),
                arrays.pop("charge"),
                domains,
                tuple(record["history"]),
                arrays,
                record["info"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"its heterodot note is damaged ({error})",
                file=path,
                place="line 2",
                remedy="delete heterodot=... from line 2 to read the bare atoms",
            ) from error
    counts: dict[str, int] = {}
    for symbol in symbols:
        counts[symbol] = counts.get(symbol, 0) + 1
    return _foreign(symbols, positions, arrays, counts, ROLES, Domain, Particle)


def _foreign(
    symbols: tuple[str, ...],
    positions: Any,
    arrays: dict[str, Any],
    counts: dict[str, int],
    roles: tuple[str, ...],
    domain_kind: Any,
    particle_kind: Any,
) -> Particle:
    from heterodot.charges import STATES

    own = arrays.pop("charge", None)
    if own is not None and np.asarray(own).ndim == 1:
        charge, said = np.asarray(own, dtype=float), "from the file"
    else:
        usual = {s: float(STATES[s][0]) if s in STATES else 0.0 for s in counts}
        charge = np.array([usual[s] for s in symbols])
        unknown = sorted(s for s in counts if s not in STATES)
        said = "common oxidation states" + (f"; unknown for {unknown}" if unknown else "")
        charge, molecule = _molecular(symbols, positions, charge)
        if molecule.any():
            said += "; molecules by their bonds"
            arrays.setdefault("molecule", molecule)
    own_domain = arrays.pop("domain", None)
    role = arrays.pop("role", None)
    if role is None or not set(np.unique(role)) <= set(roles):
        role = np.array(["core"] * len(symbols))
    if own_domain is not None and np.asarray(own_domain).dtype.kind == "i":
        domain = np.asarray(own_domain)
        domains = tuple(domain_kind(f"domain {k}") for k in range(int(domain.max()) + 1))
    else:
        domain = np.zeros(len(symbols), dtype=int)
        divisor = int(np.gcd.reduce(list(counts.values())))
        name = "".join(s + (str(c // divisor) if c > divisor else "") for s, c in counts.items())
        domains = (domain_kind(name),)
    return particle_kind(  # type: ignore[no-any-return]
        symbols, positions, domain, role, charge, domains, (), arrays, {"charges": said}
    )


def _molecular(symbols: tuple[str, ...], positions: Any, charge: Any) -> tuple[Any, Any]:
    """Charges with those of molecules on one atom of each, and the molecule of each atom."""
    from ase.data import atomic_numbers

    from heterodot.organic import groups_of

    groups = groups_of(np.array([atomic_numbers[s] for s in symbols]), np.asarray(positions))
    charge = np.array(charge)
    molecule = np.zeros(len(symbols), dtype=np.int64)
    for n, group in enumerate(groups, 1):
        charge[group.atoms] = 0.0
        charge[group.carrier] = group.charge
        molecule[group.atoms] = n
    return charge, molecule


def _comment(line: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in re.finditer(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S+))', line):
        value = match[2] if match[2] is not None else match[3]
        found[match[1]] = re.sub(r"\\(.)", r"\1", value) if match[2] is not None else value
    return found


def _layout(text: str, path: str | Path) -> list[tuple[str, str, int]]:
    parts = text.split(":")
    if len(parts) % 3 or any(not p.isdigit() for p in parts[2::3]):
        raise InputError("has unreadable Properties", file=path, place="line 2")
    return [
        (key, kind, int(count))
        for key, kind, count in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]


def _column(column: tuple[str, ...], kind: str) -> Any:
    if kind == "R":
        return np.array([float(x) for x in column])
    if kind == "I":
        return np.array([int(x) for x in column], dtype=np.int64)
    if kind == "L":
        return np.array([x in ("T", "True", "1") for x in column])
    return np.array(["" if x == "_" else x for x in column])
