"""How many threads the arithmetic of a fit takes: one where the fit is short.

Libraries of linear algebra wake a thread for every core at every product. Small products are over before the
threads have met, and the waiting costs more processor time than the work: a small network took five times as
much.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# Fits that take longer have products large enough to share.
_SHORT_CPU_S = 60.0


@contextmanager
def few_threads(cpu_s: float) -> Iterator[None]:
    """A context in which numpy and scipy take one thread, where the work takes so few CPU-seconds.

    Args:
        cpu_s: the work, as predicted.
    """
    if cpu_s > _SHORT_CPU_S:
        yield
        return
    # Only libraries that are loaded are held to it: scipy brings one of its own.
    import scipy.linalg  # noqa: F401

    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        # A machine that is lent for its GPU may be without it: the same results, for more processor time.
        yield
        return
    with threadpool_limits(limits=1):
        yield
