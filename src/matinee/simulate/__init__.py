"""Made-up viewers of known taste: a dial from noise to nearly certain, and the best that could be done."""

from matinee.simulate.files import simulate
from matinee.simulate.options import SimulationOptions
from matinee.simulate.small import patternless, predictable
from matinee.simulate.tables import simulate_log, simulate_log_with_truth

__all__ = [
    "SimulationOptions",
    "patternless",
    "predictable",
    "simulate",
    "simulate_log",
    "simulate_log_with_truth",
]
