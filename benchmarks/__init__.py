"""Measures what the layers cost, beside what others take for the same; records it, and tells it in tables.

``harness`` times anything, ``contestants`` knows who competes, ``layers``, ``step`` and ``growth`` measure, ``report``
reads their records; ``gpu`` checks and times the kernels. ``python -m benchmarks --help`` is the way in, and
``python -m benchmarks.gpu --help``.
"""
