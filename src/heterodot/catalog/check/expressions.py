"""Formulas as text: evaluated with units, without ever running code."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Mapping
from typing import Any

from heterodot.errors import InputError
from heterodot.units import registry

_OPERATORS: dict[type[ast.operator], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_FUNCTIONS: dict[str, Any] = {
    "exp": math.exp,
    "log": math.log,
    "ln": math.log,
    "log10": math.log10,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": math.asin,
    "acos": math.acos,
    "abs": abs,
}

# Symbols that stand for constants where a record says ``constant``.
CONSTANTS: dict[str, tuple[str, str]] = {
    "h": ("Planck constant", "J*s"),
    "hbar": ("reduced Planck constant", "J*s"),
    "c": ("speed of light in vacuum", "m/s"),
    "e": ("elementary charge", "C"),
    "q": ("elementary charge", "C"),
    "kB": ("Boltzmann constant", "J/K"),
    "k": ("Boltzmann constant", "J/K"),
    "R": ("molar gas constant", "J/mol/K"),
    "NA": ("Avogadro constant", "1/mol"),
    "eps0": ("vacuum electric permittivity", "F/m"),
    "m0": ("electron mass", "kg"),
}


def constant(symbol: str, place: str) -> Any:
    """Return a constant of nature as a pint quantity."""
    from scipy.constants import value

    if symbol not in CONSTANTS:
        raise InputError(
            f"no constant is called '{symbol}' here",
            place=place,
            remedy=f"one of {', '.join(CONSTANTS)}",
        )
    name, unit = CONSTANTS[symbol]
    return registry().Quantity(value(name), unit)


def evaluate(formula: str, names: Mapping[str, Any], place: str) -> Any:
    """Return the value of a formula as a pint quantity.

    Parameters
    ----------
    formula : str
        Sums, products, powers (``**`` or ``^``), ``sqrt exp log log10 sin cos tan abs`` and
        ``pi``.
    names : mapping of symbol to pint quantity
    place : str
        For errors.

    Raises
    ------
    InputError
        It does not parse, or has a symbol that is not given.
    Dimension
        It adds unlike things, or takes the sine of a length.

    Examples
    --------
    >>> from heterodot.units import registry
    >>> Q = registry().Quantity
    >>> evaluate("sqrt(D*tau)", {"D": Q(0.04, "cm^2/s"), "tau": Q(1, "ns")}, "").to("nm").magnitude
    63.2...
    """
    if len(formula) > 500:
        raise InputError("the formula is longer than 500 characters", place=place)
    try:
        tree = ast.parse(formula.replace("^", "**").strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError(
            f"the formula '{formula}' does not parse",
            place=place,
            remedy="write it as in 'sqrt(D * tau)'",
        ) from error
    return _value(tree.body, names, place)


class Dimension(Exception):
    """A formula whose terms do not fit one another in dimension."""


def _value(node: ast.expr, names: Mapping[str, Any], place: str) -> Any:
    ureg = registry()
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return ureg.Quantity(float(node.value), "")
    if isinstance(node, ast.Name):
        if node.id == "pi" and node.id not in names:
            return ureg.Quantity(math.pi, "")
        if node.id not in names:
            raise InputError(
                f"'{node.id}' has no value or unit",
                place=place,
                remedy=f"give it beside {', '.join(names) or 'the formula'}",
            )
        return names[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _value(node.operand, names, place)
        return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _binary(node, names, place)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        return _call(node.func.id, _value(node.args[0], names, place), place)
    raise InputError(
        "the formula has something other than sums, products, powers and known functions",
        place=place,
        remedy=f"use + - * / ** and {', '.join(['sqrt', *_FUNCTIONS])}",
    )


def _binary(node: ast.BinOp, names: Mapping[str, Any], place: str) -> Any:
    left, right = _value(node.left, names, place), _value(node.right, names, place)
    try:
        if isinstance(node.op, ast.Pow):
            power = float(right.to("").magnitude)
            if abs(power) > 50:
                raise InputError("a power beyond 50", place=place, remedy="check the formula")
            return left**power
        return _OPERATORS[type(node.op)](left, right)
    except (ZeroDivisionError, OverflowError) as error:
        raise InputError(
            f"the formula cannot be computed ({error})", place=place, remedy="check its values"
        ) from error
    except InputError:
        raise
    except Exception as error:
        raise _unlike(node, left, right) from error


def _unlike(node: ast.BinOp, left: Any, right: Any) -> Dimension:
    text = ast.unparse(node)
    if isinstance(node.op, ast.Pow):
        return Dimension(f"the exponent of '{text}' has the unit {right.units:~P}")
    return Dimension(f"'{text}' adds {left.units:~P} and {right.units:~P}")


def _call(name: str, inner: Any, place: str) -> Any:
    ureg = registry()
    if name == "sqrt":
        return inner**0.5
    if name == "abs":
        return abs(inner)
    if name not in _FUNCTIONS:
        raise InputError(
            f"'{name}' is not a function here",
            place=place,
            remedy=f"use {', '.join(['sqrt', *_FUNCTIONS])}",
        )
    try:
        pure = float(inner.to("").magnitude)
    except Exception as error:
        raise Dimension(f"{name} is taken of something in {inner.units:~P}") from error
    try:
        return ureg.Quantity(_FUNCTIONS[name](pure), "")
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{name} of {pure:g} cannot be computed", place=place, remedy="check its values"
        ) from error
