"""Training on CIFAR-10, from a notebook or by ``python -m gnlib``, with the norm of your choice."""

from gnlib.cifar.data import load
from gnlib.cifar.notebook import Run, compare, resume, seeds, train
from gnlib.cifar.runs import Config, build

__all__ = ["Config", "Run", "build", "compare", "load", "resume", "seeds", "train"]
