"""Sphinx configuration."""

project = "Heterodot"
author = "The Heterodot developers"
copyright = "2026, The Heterodot developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
html_theme = "furo"
exclude_patterns = ["_build"]
autodoc_typehints = "description"
suppress_warnings = ["myst.header"]
