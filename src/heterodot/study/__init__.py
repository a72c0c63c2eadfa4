"""One study file, its stages, cache and provenance."""
