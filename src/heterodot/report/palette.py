"""Colors: elements after VESTA's defaults, one color each for perovskite and chalcogenide."""

from __future__ import annotations

# Perovskite and chalcogenide keep one color each throughout (Okabe-Ito, safe for the color-blind).
PEROVSKITE = "#E69F00"
CHALCOGENIDE = "#0072B2"
DOMAINS = (PEROVSKITE, CHALCOGENIDE, "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
LIGAND = "#9A9A9A"
ROLES = {
    "core": "#B8C4CE",
    "surface": "#56B4E9",
    "interface": "#D55E00",
    "ligand": LIGAND,
}

# After VESTA's default colors, so that Cs, Pb and the halides are told apart at a glance; carbon is
# black, since its brown there is that of Br.
ELEMENTS = {
    "H": "#FFCCCC", "C": "#2B2B2B", "N": "#B0BAE6", "O": "#FF0300", "F": "#B0BAE6",
    "P": "#C09DC3", "S": "#FFFA00", "Cl": "#31FC03", "Br": "#7E3103", "I": "#940094",
    "Cs": "#0FFFB9", "Rb": "#FF0099", "K": "#A121F7", "Na": "#FADD3D",
    "Pb": "#53535B", "Cd": "#F31FDC", "Zn": "#8F8F82", "Cu": "#2247DD", "Sn": "#9B8FBA",
    "Mn": "#A80866", "Se": "#9AEF10", "Te": "#7E7B58", "Bi": "#D330F8", "Ag": "#B8BCBE",
    "In": "#D781BC",
}  # fmt: skip
UNKNOWN = "#BBBBBB"


def element_color(symbol: str) -> str:
    """Return an element's color, a fixed gray for ones not listed."""
    return ELEMENTS.get(symbol, UNKNOWN)


def domain_color(formula: str, index: int) -> str:
    """Return a domain's color: perovskites and chalcogenides keep theirs, others by index."""
    halide = any(x in formula for x in ("Cl", "Br", "I"))
    if formula.startswith(("Cs", "MA", "FA")) and "Pb" in formula and halide:
        return PEROVSKITE
    if "S" in formula.replace("Sn", "").replace("Cs", ""):
        return CHALCOGENIDE
    return DOMAINS[2 + index % (len(DOMAINS) - 2)]
