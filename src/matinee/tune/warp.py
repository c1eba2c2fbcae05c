"""Values as the model sees them: near to normal, and no single value may ruin the rest.

A value is first measured from the median in units of the quartiles' distance; of what lies further than ten
units away, the logarithm of the logarithm counts. Then a Yeo-Johnson curve (Yeo and Johnson 2000) with one
`bend` draws the long tail of bad values together: bend 1 leaves everything as it is, bend 2 takes the
logarithm of what is below the median. At last the mean becomes 0 and the standard deviation 1. Every step is
increasing, so the best stays the best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matinee.core.types import Float64

_FAR = 10.0


@dataclass(frozen=True, kw_only=True)
class Warp:
    """One such increasing curve; call it on values of any shape.

    Attributes:
        middle: the median of the values that it was made for.
        unit: their quartiles' distance, made comparable to a standard deviation.
        bend: of the Yeo-Johnson curve.
        mean: mean of the curve's values.
        spread: standard deviation of the curve's values.
    """

    middle: float
    unit: float
    bend: float
    mean: float
    spread: float

    def __call__(self, values: Float64) -> Float64:
        """The values as the model sees them."""
        return (_bent(self._measured(values), self.bend)[0] - self.mean) / self.spread

    def slope(self, value: float) -> float:
        """How much the warped value grows with the value itself, there."""
        step = 1e-4 * self.unit
        low, high = self(np.array([value - step, value + step]))
        return max(float(high - low) / (2 * step), 1e-12 / self.unit)

    def width(self, value: float, sd: float) -> float:
        """What a standard deviation of `sd` around a value is once warped."""
        low, high = self(np.array([value - sd, value + sd]))
        return float(high - low) / 2

    def bent(self, values: Float64, bend: float) -> Warp:
        """The same curve with another bend, again of mean 0 and deviation 1 on these values."""
        curved, _ = _bent(self._measured(values), bend)
        return Warp(
            middle=self.middle,
            unit=self.unit,
            bend=bend,
            mean=float(curved.mean()),
            spread=max(float(curved.std()), 1e-9),
        )

    def log_slopes(self, values: Float64) -> float:
        """Sum of the logarithms of the slopes at the values, up to a constant that no bend changes."""
        _, slopes = _bent(self._measured(values), self.bend)
        return float(np.log(slopes).sum() - len(values) * np.log(self.spread))

    def _measured(self, values: Float64) -> Float64:
        # Divided before the difference is taken: 1e308 - (-1e308) is no number.
        with np.errstate(over="ignore"):
            far = np.asarray(values, dtype=np.float64) / self.unit - self.middle / self.unit
        far = np.clip(far, -1e300, 1e300)
        size = np.abs(far)
        long = size > _FAR
        if long.any():
            far = np.where(
                long, np.sign(far) * _FAR * (1 + np.log1p(np.log(np.maximum(size, _FAR) / _FAR))), far
            )
        return far


def warp_of(values: Float64, bend: float = 1.0) -> Warp:
    """The curve of these values: float64, shape (n,), n at least 1, finite."""
    middle = float(np.median(values / 2)) * 2
    low, high = np.percentile(values / 2, [25, 75])
    least = max(1e-12 * abs(middle), 1e-300)
    unit = float(high - low) * 2 / 1.349
    if not unit > least:
        # Half of the values or more are equal: what the others are away from them, on average.
        unit = float(np.abs(values / 2 - middle / 2).mean()) * 2
    unit = min(unit, 1e307) if unit > least else max(least, 1e-12)
    return Warp(middle=middle, unit=unit, bend=bend, mean=0.0, spread=1.0).bent(values, bend)


def _bent(far: Float64, bend: float) -> tuple[Float64, Float64]:
    """The Yeo-Johnson curve and its slope, for a bend from 0 (left out) to 2."""
    up, down = np.log1p(np.maximum(far, 0.0)), np.log1p(np.maximum(-far, 0.0))
    left = 2.0 - bend
    low = -down if left < 1e-6 else -np.expm1(left * down) / left
    curved = np.where(far >= 0, np.expm1(bend * up) / bend, low)
    slope = np.where(far >= 0, np.exp((bend - 1) * up), np.exp((left - 1) * down))
    return curved, slope
