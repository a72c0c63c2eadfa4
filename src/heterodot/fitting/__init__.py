"""Least squares and Poisson likelihood, variable projection, covariance and profile errors."""

from heterodot.fitting.result import Fit, Parameter

__all__ = ["Fit", "Parameter"]
