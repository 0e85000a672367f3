"""A question in a notebook, with an explanation for every wrong answer. Draws nothing: ``frontend/check.js`` does."""

from __future__ import annotations

from typing import Any

import traitlets

from gnlib.question import parse
from gnlib.widgets.figure import Figure


class Check(Figure):
    """Ask a question, written as in a chapter, and explain what was answered.

    In the book the same questions stand in the page itself, by the directive ``{check}``; this is for notebooks::

        Check('''How many values share one mean in BatchNorm, for 4 samples of 16 × 16 positions?
        - [ ] 256 | Those are the positions of one cell.
        - [x] 1,024 | 4 samples times 256 positions.
        ''')

    Args:
        question: the question and its options; ``gnlib.question`` has the rules. `` `code` `` stands in backticks.
        unit: of a number.
        arguments: as in :class:`~gnlib.widgets.figure.Figure`; ``title`` stands small above the question.

    Attributes:
        chosen: the options that are marked, counted from 0; two-way.
        number: what is written into the field, as text; two-way.
        tries: how often the reader has pressed Check.
        solved: whether one of the tries was right; set it to False to ask again.

    Raises:
        QuestionError: the question cannot be asked, such as a wrong answer without an explanation; says the rule.
    """

    stem = "check"

    question = traitlets.Unicode().tag(sync=True)
    kind = traitlets.Enum(["one", "several", "number"], "one").tag(sync=True)
    options = traitlets.List(traitlets.Dict()).tag(sync=True)
    unit = traitlets.Unicode().tag(sync=True)
    chosen = traitlets.List(traitlets.Int()).tag(sync=True)
    number = traitlets.Unicode().tag(sync=True)
    tries = traitlets.Int(0, min=0).tag(sync=True)
    solved = traitlets.Bool(False).tag(sync=True)

    def __init__(self, question: str, *, unit: str = "", **arguments: Any) -> None:
        asked = parse(question)
        options = [
            {"text": o.text, "right": o.right, "why": o.why, "value": o.value, "tolerance": o.tolerance}
            for o in asked.options
        ]
        text = " ".join(" ".join([asked.text, *asked.body]).split())
        super().__init__(question=text, kind=asked.kind, options=options, unit=unit, **arguments)

    @traitlets.validate("chosen")
    def _exist(self, proposal: Any) -> list[int]:
        chosen: list[int] = sorted(set(proposal.value))
        count = 0 if self.kind == "number" else len(self.options)
        most = 1 if self.kind == "one" else count
        if not all(0 <= index < count for index in chosen) or len(chosen) > most:
            would = "[] would do: its answer is a number" if not count else f"up to {most} of 0 to {count - 1} would do"
            raise traitlets.TraitError(f"chosen must name options, counted from 0: got {proposal.value}; {would}")
        return chosen
