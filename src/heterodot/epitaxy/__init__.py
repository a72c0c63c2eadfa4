"""Which planes and directions of two crystals fit, how well, and which atoms meet."""

from heterodot.epitaxy.relationship import Interface, OrientationRelationship

__all__ = ["Interface", "OrientationRelationship"]
