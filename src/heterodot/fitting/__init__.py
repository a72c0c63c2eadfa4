"""Least squares and Poisson likelihood, variable projection, covariance and profile errors."""

from heterodot.fitting.assess import autocorrelation_test, propagate, runs_test, with_derived
from heterodot.fitting.engines import least_squares, poisson
from heterodot.fitting.intervals import bootstrap, profile
from heterodot.fitting.result import Fit, Parameter

__all__ = [
    "Fit",
    "Parameter",
    "autocorrelation_test",
    "bootstrap",
    "least_squares",
    "poisson",
    "profile",
    "propagate",
    "runs_test",
    "with_derived",
]
