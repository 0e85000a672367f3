"""Figures that a reader can touch: in a page without a kernel, in Jupyter, in Colab."""

from gnlib.widgets.activations import Activations
from gnlib.widgets.backward import Backward
from gnlib.widgets.batch_lab import BatchLab
from gnlib.widgets.check import Check
from gnlib.widgets.square import Square

__all__ = ["Activations", "Backward", "BatchLab", "Check", "Square"]
