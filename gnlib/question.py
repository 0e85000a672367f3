"""Reads a question as it is written in a chapter or a notebook: its text, its options, and why each is right or wrong.

One or several choices, or a number; what stands behind `` | `` explains the option::

    How many values share one mean in BatchNorm, for 4 samples of 16 × 16 positions?
    - [ ] 256 | Those are the positions of one cell; BatchNorm pools the cells of all samples.
    - [x] 1,024 | 4 samples times 256 positions.

    What is the mean of 1 and 4?
    answer: 2.5 ± 0.01 | The sum, 5, divided by 2.
    wrong: 5 | This is the sum.
    otherwise: Add the two, divide by their count.

A line that is indented goes on with the one above. Knows nothing of pages and figures.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from inspect import cleandoc

CHOICE = re.compile(r"[-*] \[([ xX])\]\s+(.*)")
NUMBER = re.compile(r"(answer|wrong|otherwise):\s*(.*)")
VALUE = re.compile(
    r"(?P<value>[-−+]?[\d.,]+(?:e[-+]?\d+)?)(?:\s*(?:±|\+-|\+/-)\s*(?P<tolerance>[\d.,]+(?:e[-+]?\d+)?))?"
)
# math and code, inside which `|` is no border
QUOTED = re.compile(r"(`+).*?\1|\$[^$]*\$")


class QuestionError(ValueError):
    """A question that cannot be asked; ``line`` counts from the line of its text, 0."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Option:
    """One answer that a reader may give."""

    text: str  # "" for any other number
    right: bool
    why: str
    value: float | None = None  # of a number; None for any other
    tolerance: float = 0.0  # how far from it is still near enough
    line: int = 0


@dataclass(frozen=True)
class Question:
    """What is asked, and the answers in their order."""

    text: str
    options: tuple[Option, ...]
    body: tuple[str, ...] = ()  # lines between the text and the options
    kind: str = field(default="one")  # "one", "several" or "number"


def parse(text: str, body: Iterable[str] | None = None) -> Question:
    """Read a question.

    Args:
        text: the question in its first line; with ``body`` the whole of it.
        body: the lines below it; None to take them from ``text``.
    Returns:
        the question.
    Raises:
        QuestionError: it cannot be asked; says which rule is broken and in which line.
    """
    lines = cleandoc(text).splitlines() if body is None else [text, *body]
    asked = lines[0].strip() if lines else ""
    if not asked:
        raise QuestionError("a question must have a text in its first line: got none", 0)
    options: list[Option] = []
    between: list[str] = []
    kinds: set[str] = set()
    for number, line in enumerate(lines[1:], 1):
        if choice := CHOICE.fullmatch(line.strip()):
            kinds.add("choice")
            words, why = _split(choice[2])
            options.append(Option(words, choice[1] != " ", why, line=number))
        elif given := NUMBER.fullmatch(line.strip()):
            kinds.add("number")
            options.append(_numeric(given[1], given[2], number))
        elif options and line.strip() and line[0].isspace():
            last = options[-1]
            joined = " ".join([f"{last.text} | {last.why}" if last.why else last.text, line.strip()])
            words, why = _split(joined) if last.text else ("", joined.removeprefix(" | "))
            options[-1] = replace(last, text=words, why=why)
        elif options and line.strip():
            raise QuestionError(
                f"below the first option stand options only: got {line.strip()!r}; "
                "two spaces before it would make it part of the option above",
                number,
            )
        else:
            between.append(line)
    kind = _check(options, kinds)
    return Question(asked, tuple(options), tuple(between), kind)


def _numeric(word: str, rest: str, line: int) -> Option:
    if word == "otherwise":
        return Option("", False, rest, line=line)
    words, why = _split(rest)
    found = VALUE.fullmatch(words)
    if not found:
        raise QuestionError(f"{word} must be a number, or number ± tolerance: got {words!r}; 1024 ± 1 would do", line)
    value, tolerance = (float(part.replace("−", "-").replace(",", "")) for part in found.groups("0"))
    return Option(words, word == "answer", why, value, tolerance, line)


def _split(text: str) -> tuple[str, str]:
    """Cut an option at the first `` | `` outside of math and code."""
    bare = QUOTED.sub(lambda match: "x" * len(match[0]), text)
    at = re.search(r"\s\|\s", bare)
    return (text[: at.start()].strip(), text[at.end() :].strip()) if at else (text.strip(), "")


def _check(options: list[Option], kinds: set[str]) -> str:
    """Say which kind of question the options make."""
    if len(kinds) > 1:
        raise QuestionError("a question asks for a choice or for a number, not for both", options[0].line)
    right = [option for option in options if option.right]
    if not right:
        raise QuestionError(
            f"a question must have a right answer: got {len(options)} options and none marked; "
            "- [x] before an option, or `answer: number`, would do",
            0,
        )
    for option in options:
        if not option.right and not option.why:
            raise QuestionError(
                f"a wrong answer must say why it is wrong: got {option.text!r} alone; "
                f"{option.text or 'otherwise:'} | because … would do",
                option.line,
            )
        if kinds == {"choice"} and not option.text:
            raise QuestionError("an option must have a text: got none before the |", option.line)
    if kinds == {"choice"}:
        if len(options) < 2:
            raise QuestionError("a choice needs two options or more: got 1", options[0].line)
        return "one" if len(right) == 1 else "several"
    if len(right) > 1:
        raise QuestionError(f"a number has one answer: got {len(right)}", right[1].line)
    if sum(option.value is None for option in options) != 1:
        raise QuestionError(
            "a number needs one line for all other numbers: `otherwise: what to think of` would do", options[0].line
        )
    return "number"
