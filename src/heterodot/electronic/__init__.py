"""Levels, wavefunctions, alignment and transfer of the whole particle."""
