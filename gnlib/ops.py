"""The one door through which layers reach the arithmetic: whoever computes it, the contract is core's."""

from gnlib.core import Moments, apply, moments, normalize, pool

__all__ = ["Moments", "apply", "moments", "normalize", "pool"]
