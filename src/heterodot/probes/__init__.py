"""What instruments see: ``simulate(particle, setup)`` and ``fit(measurement, model)``."""
