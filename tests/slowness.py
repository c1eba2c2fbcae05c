"""How slow the machine is just now, for bars in CPU-seconds.

A core that neighbours share takes up to twice as long for the same work, in CPU-seconds too. A bar that is
meant for a quiet core is therefore held against what a fixed sum takes in the same minute.
"""

from statistics import median
from time import process_time

# On a quiet core of the machine of docs/figures.md.
_QUIET_S = 0.00275


def slowness() -> float:
    """What a fixed sum takes now, in multiples of what it takes on a quiet core; at least 1."""
    taken = []
    for _ in range(40):
        began = process_time()
        sum(number * number for number in range(50_000))
        taken.append(process_time() - began)
    return max(1.0, median(taken) / _QUIET_S)
