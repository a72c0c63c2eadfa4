"""What a study file may say: one model, from which the JSON Schema and every check come."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from heterodot.errors import InputError, nearest
from heterodot.files import read_text
from heterodot.units import parse


def _quantity(unit: str) -> BeforeValidator:
    def check(value: object) -> float:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise ValueError(f"give a number with its unit, e.g. '3 {unit}'")
        try:
            return parse(value, unit)
        except InputError as error:
            raise ValueError(f"{error.what}; {error.remedy or 'check number and unit'}") from error

    return BeforeValidator(check, json_schema_input_type=str | float)


def _size(value: object) -> object:
    """Check ``"3.4 nm"``, ``"5 cells"`` or ``"3 x 13 nm"`` (kept as text: builders know cells)."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("give a size such as '3.4 nm' or '5 cells'")
    text = f"{value} nm" if isinstance(value, int | float) else value.strip()
    from heterodot.particle.lengths import lengths

    try:
        lengths(text, 6.0)
    except InputError as error:
        if "not a size" in error.what:
            raise ValueError(
                f"{value} is not a size; give a positive one such as '3.4 nm'"
            ) from error
        raise ValueError(
            f"'{value}' is not a size; give for example '3.4 nm' or '5 cells' ('3 x 13 nm' for two)"
        ) from error
    return text


def _length(value: object) -> str:
    """Check a signed length and keep it as text, in nm where no unit is given."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("give a length such as '-0.35 nm'")
    text = f"{value} nm" if isinstance(value, int | float) else value.strip()
    try:
        parse(text, "angstrom")
    except InputError as error:
        raise ValueError(f"'{value}' is not a length; give for example '-0.35 nm'") from error
    return text


def _fraction(value: object) -> object:
    """Take ``"3 %"`` for 0.03; a bare number is a fraction."""
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            return float(value.strip().rstrip("%")) / 100
        except ValueError as error:
            raise ValueError(f"'{value}' is not a percentage") from error
    return value


Fraction = Annotated[float, BeforeValidator(_fraction, json_schema_input_type=str | float)]
Angstrom = Annotated[float, _quantity("angstrom"), Field(gt=0)]
SquareAngstrom = Annotated[float, _quantity("angstrom^2"), Field(gt=0)]
Degree = Annotated[float, _quantity("deg")]
ForceUnit = Annotated[float, _quantity("eV/angstrom"), Field(gt=0)]
Size = Annotated[str, BeforeValidator(_size, json_schema_input_type=str | float)]
Length = Annotated[
    str,
    BeforeValidator(lambda value: _length(value), json_schema_input_type=str | float),
]
Indices = tuple[int, int, int]


class Part(BaseModel):
    """A table of the study file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class About(Part):
    """What the study is called and where chance starts."""

    title: str = Field("Untitled study", description="Shown at the top of the report.")
    seed: int = Field(0, ge=0, description="Seed of everything random.")
    notes: str = Field("", description="Free text, shown in the report.")


class Crystals(Part):
    """The two crystals: names of the catalog or paths of CIF files."""

    a: str = Field(description="Catalog name or CIF path (relative to the study file).")
    b: str = Field(description="Catalog name or CIF path (relative to the study file).")


class Epitaxy(Part):
    """Limits of the orientation search."""

    max_index: int = Field(2, ge=1, le=6, description="Largest Miller index of either plane.")
    max_area: SquareAngstrom = Field(400.0, description="Largest coincidence cell, Å².")
    max_strain: Fraction = Field(
        0.03,
        gt=0,
        le=0.2,
        description="Largest principal strain: a fraction (0.03) or a percentage ('3 %').",
    )
    energies: int = Field(
        20, ge=0, le=1000, description="Relations whose ionic energy enters the rank; 0 for none."
    )


class Relation(Part):
    """An orientation relationship to be picked among those found."""

    plane_a: Indices
    plane_b: Indices
    direction_a: Indices | None = None
    direction_b: Indices | None = None


class Exchange(Part):
    """Ions of one domain for others, after the particle was built."""

    domain: str = Field(description="'a', 'b', or the domain's name.")
    replace: str = Field(description="What for what: 'Cl=Br', 'Pb=2Cu', 'Pb=Cd'.")
    fraction: Fraction = Field(1.0, gt=0, le=1, description="Share of the ions.")
    order: Literal["random", "ordered", "graded"] = Field(
        "random", description="Which ions go first."
    )
    depth: Angstrom = Field(10.0, description="Width of a graded front, Å.")
    keep_layers: int = Field(0, ge=0, le=20, description="Cation layers kept at the interface.")
    product: str | None = Field(
        None, description="Crystal of the product, where the catalog has several: name or CIF."
    )


class ParticleSettings(Part):
    """Shapes, sizes and the relation to build at; the keys of ``heterodot build``."""

    match: Annotated[int, Field(ge=1)] | Relation = Field(
        1, description="Rank in the orientation search, or planes and directions to pick."
    )
    shape_a: str = Field("cube", description="Shape of domain A.")
    size_a: Size = Field("3.4 nm", description="Size of domain A.")
    termination_a: str | None = Field(None, description="Outer layer of A's facets, e.g. 'CsCl'.")
    shape_b: str = Field("cuboctahedron", description="Shape of domain B.")
    size_b: Size = Field("3.0 nm", description="Size of domain B.")
    termination_b: str | None = Field(None, description="Outer layer of B's facets.")
    cut_a: Length | None = Field(None, description="Distance of the interface from A's center.")
    cut_b: Length | None = Field(None, description="Distance of the interface from B's center.")
    strain: Literal["b", "a", "both", "none"] = Field("b", description="Who yields to the other.")
    shared: str | None = Field(None, description="Element of the layer that both share, e.g. Pb.")
    caps: int = Field(1, ge=1, le=26, description="Equivalent facets of A that carry B.")
    inside: int | None = Field(None, ge=1, description="Put this many B inside A.")
    overhang: bool = Field(False, description="Let B be wider than the facet (mushroom).")
    passivator: str | None = Field(None, description="Halide that may cap surfaces.")
    completion: Literal["halide", "vacancies"] = Field(
        "halide", description="Surplus chalcogen of a surface: replaced by halide, or left out."
    )
    exchange: tuple[Exchange, ...] = Field((), description="Exchanges, in this order.")


class Energy(Part):
    """Relaxation with the built-in ionic potential."""

    steps: int = Field(300, ge=0, le=100_000, description="Largest number of steps; 0 for none.")
    fmax: ForceUnit = Field(0.05, description="Force at which it counts as relaxed, eV/Å.")


class Electronic(Part):
    """Effective-mass levels on the particle's own shape."""

    states: int = Field(3, ge=0, le=40, description="Electron and hole states; 0 for none.")
    spacing: Angstrom | None = Field(None, description="Grid spacing, Å (chosen if left out).")
    coulomb: bool = Field(True, description="Include the electron-hole attraction.")
    atomistic: bool = Field(
        False, description="Also the atoms' own states (tight binding), as surfaces in the page."
    )
    materials: dict[str, dict[str, float]] = Field(
        {}, description="Values that replace the catalog's, e.g. {PbS = {ionization_energy = 5.2}}."
    )


class Xrd(Part):
    """Powder pattern by the Debye equation."""

    wavelength: str | float = Field("CuKa", description="CuKa, CuKa1, MoKa, ... or a number in Å.")
    two_theta: tuple[Degree, Degree] = Field((15.0, 60.0), description="Range, degrees.")
    points: int = Field(1801, ge=2, le=200_000, description="Points over the range.")
    structure: Literal["relaxed", "built"] = Field(
        "relaxed", description="Which particle the pattern is of."
    )


class Probes(Part):
    """What instruments would see."""

    xrd: Xrd | None = Xrd()


class Comparison(Part):
    """A published result beside a number that this study computes."""

    published: str = Field(
        description="Id of a published entry of the catalog, e.g. 'Livakas2024.M036'."
    )
    computed: str = Field(
        description="Name of a computed quantity, e.g. 'epitaxy.mismatch_1'; see the docs."
    )
    item: int | None = Field(None, ge=0, description="Which number, where the entry has several.")
    key: str | None = Field(
        None, description="Path to the number in the entry's record, e.g. 'model.counts.Pb'."
    )
    a: Indices | None = Field(None, description="Plane or direction of A that the name needs.")
    b: Indices | None = Field(None, description="Plane or direction of B that the name needs.")
    label: str = Field("", description="What the row is called; the entry's own name if left out.")
    note: str = Field("", description="What a reader should know of the comparison.")


class Settings(Part):
    """A whole study file."""

    study: About = About()
    crystals: Crystals
    epitaxy: Epitaxy = Epitaxy()
    particle: ParticleSettings = ParticleSettings()
    energy: Energy = Energy()
    electronic: Electronic = Electronic()
    probes: Probes = Probes()
    compare: tuple[Comparison, ...] = ()


def read_settings(path: str | Path) -> Settings:
    """Return the checked settings in a TOML study file.

    Raises
    ------
    InputError
        Not there, not TOML (with the line), or a key, type, unit or value that is not allowed;
        the key's path, what is allowed and the nearest right spelling are said.
    """
    text = read_text(path, limit=2**24)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not TOML ({error})", file=path, remedy="correct that line") from error
    return check_settings(content, file=path)


def check_settings(content: Mapping[str, Any], *, file: str | Path | None = None) -> Settings:
    """Return the settings that nested plain data state, or refuse the first fault in it.

    Examples
    --------
    >>> check_settings({"crystals": {"a": "CsPbCl3", "b": "PbS"}}).particle.size_a
    '3.4 nm'
    >>> check_settings({"crystals": {"a": "CsPbCl3", "b": "PbS"}, "particle": {"sise_a": 3}})
    Traceback (most recent call last):
    heterodot.errors.InputError: particle.sise_a: is not a key that is known here; did you mean \
'size_a'? (known: match, shape_a, size_a, ...)
    """
    try:
        return Settings.model_validate(content)
    except pydantic.ValidationError as error:
        faults = error.errors(include_url=False)
        # an unknown key explains a missing one, so it is told first; then the deepest fault,
        # which is that of the branch of a union that was meant
        faults.sort(key=lambda fault: (fault["type"] != "extra_forbidden", -len(fault["loc"])))
        raise _refusal(faults[0], file) from error


def _refusal(fault: Mapping[str, Any], file: str | Path | None) -> InputError:
    path = [part for part in fault["loc"] if not _is_branch(part)]
    place = ".".join(str(part) for part in path)
    kind = fault["type"]
    if kind == "extra_forbidden":
        known = _keys_at(path[:-1])
        close = nearest(str(path[-1]), known, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        return InputError(
            "is not a key that is known here",
            file=file,
            place=place,
            remedy=f"{hint}(known: {', '.join(known)})",
        )
    if kind == "missing":
        return InputError("is missing", file=file, place=place, remedy="add it")
    said = str(fault["msg"]).removeprefix("Value error, ")
    given = fault.get("input")
    shown = f"{given!r}: " if isinstance(given, str | int | float) else ""
    return InputError(f"{shown}{said[0].lower()}{said[1:]}", file=file, place=place)


def _is_branch(part: object) -> bool:
    """Whether a location part names a branch of a union rather than a key."""
    text = str(part)
    return "[" in text or text in ("Relation", "constrained-int", "int", "str", "float", "Xrd")


def _keys_at(path: list[Any]) -> list[str]:
    """Known keys of the table at a key path."""
    model: Any = Settings
    for part in path:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        model = _model_in(annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> Any:
    import typing

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the study file (for editors, forms and docs)."""
    schema = Settings.model_json_schema(mode="validation")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Heterodot study file"
    return schema
