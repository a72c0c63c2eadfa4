"""Energies and forces on plain atoms with formal charges, and relaxation."""
