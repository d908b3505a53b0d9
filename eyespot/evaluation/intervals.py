"""How sure a measured fraction is."""

from scipy.stats import binomtest


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a fraction (Wilson 1927, JASA 22:209-212), as SciPy computes it.

    Returns:
        Its lower and upper end, fractions in [0, 1].
    """
    interval = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
