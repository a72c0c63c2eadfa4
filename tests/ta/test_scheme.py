"""Schemes against matrix exponentials and hand-solved kinetics; what cannot be read is said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from heterodot.errors import InputError
from heterodot.probes.ta import parallel, read_scheme, sequential
from heterodot.probes.ta.scheme import decompose

RATES = st.floats(1e-4, 1e2)


@settings(max_examples=40, deadline=None)
@given(st.lists(RATES, min_size=5, max_size=5), st.floats(0, 3))
def test_modes_are_the_matrix_exponential(k, t):
    scheme = read_scheme(
        "A -> B : k1\nB -> A : k2\nA -> GS : k3\nB -> C : k4\nC -> GS : k5\nstart: A = 0.7, B = 0.3"
    )
    values = dict(zip(("k1", "k2", "k3", "k4", "k5"), k, strict=True))
    t = t / max(k)
    rates, weights = scheme.modes("", values)
    found = weights.T @ np.exp(-rates * t)
    exact = expm(scheme.matrix(values) * t) @ scheme.start("", values)
    assert np.allclose(found, exact, atol=3e-5)


def test_equal_rates_of_a_chain():
    """A -> B -> GS with equal rates: B = k t exp(-k t), where the eigenvectors fall together."""
    scheme = sequential(2)
    rates, weights = scheme.modes("", {"k_1": 2.0, "k_2": 2.0})
    t = np.linspace(0, 3, 20)
    b = weights[:, 1] @ np.exp(-np.outer(rates, t))
    assert np.allclose(b, 2 * t * np.exp(-2 * t), atol=1e-5)


def test_oscillating_cycle_is_refused():
    k = np.array([[-1.0, 0, 1], [1, -1, 0], [0, 1, -1]])
    with pytest.raises(InputError, match="oscillate"):
        decompose(k, np.array([1.0, 0, 0]))


def test_names_units_and_constraints():
    scheme = read_scheme(
        """
        # heterostructure
        CsPbBr3* -> CsPbBr3+ CdS- : k_et = 112 /ns
        CsPbBr3+ CdS- -> GS : k_cr = 1e-3 1/ps fixed
        CsPbBr3* -> GS : k_r
        start [pump 400]: CsPbBr3* = 1, CsPbBr3+ CdS- = x
        zero: CsPbBr3* 600-650 nm
        """
    )
    assert scheme.species == ("CsPbBr3*", "CsPbBr3+ CdS-")
    by_name = {r.name: r for r in scheme.rates}
    assert by_name["k_et"].value == pytest.approx(0.112)
    assert by_name["k_cr"].fixed
    assert scheme.fractions == ("x",)
    assert scheme.zeros == (("CsPbBr3*", 600.0, 650.0),)
    assert parallel(2).species == ("component 1", "component 2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no reaction"),
        ("A -> B", "names no rate"),
        ("A => B : k", "not a reaction"),
        ("A -> B : k = fast", "not a rate"),
        ("A -> B : k = -1 /ps", "not a rate|negative"),
        ("A -> B : k = 1 /nm", "cannot be given"),
        ("A -> A : k", "reacts to itself"),
        ("A <-> B : k", "give two rates"),
        ("A -> B : k\nstart: C = 1", "not a species"),
        ("A -> B : k\nq = 3", "in no reaction"),
        ("A -> B : k\nstart: A = 1 2", "not a population"),
    ],
)
def test_bad_schemes_name_the_line(text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_scheme(text, file="s.txt")
    assert "s.txt" in str(caught.value)
