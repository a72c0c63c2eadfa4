"""Recompute what a record states from its own other numbers, and show the arithmetic."""

from heterodot.catalog.check.findings import Finding
from heterodot.catalog.check.run import check_catalog, check_file, check_record

__all__ = ["Finding", "check_catalog", "check_file", "check_record"]
