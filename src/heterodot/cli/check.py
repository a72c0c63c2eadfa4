"""``heterodot check``: recompute what a record states."""

from __future__ import annotations

import click

from heterodot.cli.console import Console, verb


@click.command()
@click.argument("target", metavar="FILE.yaml|CATALOG", default="CATALOG")
@click.option("--strict", is_flag=True, help="End with exit code 4 if anything disagrees.")
@verb("heterodot/check/1")
def check(console: Console, target: str, strict: bool) -> int:
    """Recompute what records state from their own other numbers.

    Masses against moles, stock concentrations, molar ratios, formal charges, atomic against mass
    percent, lifetimes, diffusion lengths, spacings, 2theta, photon energies, percentages, units
    of formulas: every disagreement is shown with its arithmetic. CATALOG checks the built-in
    records, where the documents' own slips show.

    \b
    Examples:
      heterodot check my_batch.yaml
      heterodot check CATALOG --json

    \b
    A file is a list of records, each with an id:
      - id: batch.12
        concentration: {value: 0.2, unit: mol/L, of: Cs}
        reagents:
        - {name: Cs2CO3, mass: {value: 652, unit: mg}, moles: {value: 2, unit: mmol}}
        - {name: ODE, volume: {value: 20, unit: mL}}
      - id: batch.13
        emission: {energy: 2.41 eV, wavelength: 541 nm}
    The catalog's page of the documentation has the table of all keys.
    """
    from heterodot.catalog.check import check_catalog, check_file

    findings, count = check_catalog() if target == "CATALOG" else check_file(target)
    console.document(
        {
            "target": target,
            "records": count,
            "agree": not findings,
            "findings": [finding.to_json() for finding in findings],
        }
    )
    for finding in findings:
        console.say(f"{finding.record}: {finding.key}")
        console.say(f"  {finding.message}")
        console.say(f"  {finding.arithmetic}")
    noun = "record" if count == 1 else "records"
    word = "disagreement" if len(findings) == 1 else "disagreements"
    console.say(
        f"{count} {noun}, {len(findings)} {word}"
        if findings
        else f"{count} {noun}, nothing disagrees"
    )
    return 4 if strict and findings else 0
