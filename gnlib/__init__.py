"""Normalization layers as grouping choices over one shared core."""
