"""Checks a reader's own function on hidden cases, and says what differs and which mistake would look like that.

``check("group_norm", mine)`` calls ``mine`` and nothing else. The right values are the core's, in double precision.
To recognise a mistake, the same cases go through deliberately wrong functions: where one of them gives the reader's
numbers, its mistake is named.

=====================================================  ===============================================================
the function                                           what it is to do
=====================================================  ===============================================================
``moments(x)``                                         mean and variance of every cell, two tables (N, C)
``pool(mean, var, b, g)``                              those of every block, of cells of equal count: two tables (b, g)
``layer_norm(x, weight, bias, eps)``                   over all channels and positions of a sample
``instance_norm(x, weight, bias, eps)``                over the positions of a cell
``group_norm(x, num_groups, weight, bias, eps)``       over neighbouring channels of a sample
``batch_norm(x, running_mean, running_var, weight,     over a channel of the batch; writes into the running statistics
bias, training, momentum, eps)``
``backward(grad, x, eps)``                             the gradient of x, each row of which was standardized
``token_norm(x, weight, bias, eps)``                   LayerNorm of a transformer, over the last axis of x
``first_weights(noise, slope)``                        weights of a layer with a ReLU behind it, from normal noise
``join(count, mean, var)``                             mean and variance of several devices' values together
``fold(weight, bias, norm_weight, norm_bias,           weight and bias of a linear layer that does the work of the
running_mean, running_var, eps)``                      BatchNorm before it too, in evaluation
``interval(accuracies, t)``                            mean of each row, and half the width of its interval
=====================================================  ===============================================================

A norm's ``weight`` and ``bias`` have shape (C,). They, ``eps``, ``slope`` and BatchNorm's memory are optional: what a
function does not take is not checked.
"""

from __future__ import annotations

import inspect
import textwrap
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gnlib.exercises.practice import PRACTICE
from gnlib.exercises.tasks import BUFFERS, EXACT, LAYERS, Case, Exercise, Results

EXERCISES: dict[str, Exercise] = {**LAYERS, **PRACTICE}

MATCH = 1e-9  # as EXACT, for a wrong function to count as the reader's
ROUNDING = 1e-4  # differences below this, and of no known mistake, are those of single precision
WIDTH = 80  # characters of a line of the report
# other names under which an argument of a reader's function is understood
ALIASES = {
    "weight": ("gamma", "γ", "scale"),
    "bias": ("beta", "β", "shift"),
    "eps": ("epsilon", "ε"),
    "training": ("train",),
}


class Report:
    """What :func:`check` found: true if every case came out right, and in a notebook a text that says what did not."""

    def __init__(self, text: str, right: int, cases: int, mistake: str = "") -> None:
        self.text = text
        self.right = right  # cases that came out right
        self.cases = cases  # cases that were tried
        self.mistake = mistake  # the mistake that was recognised, or ""

    def __bool__(self) -> bool:
        return self.right == self.cases > 0

    def __repr__(self) -> str:
        return self.text


def check(exercise: str, function: Callable[..., Any]) -> Report:
    """Compare ``function`` with the right one on hidden cases, and say what differs.

    Args:
        exercise: what it should be, such as "group_norm"; ``help(gnlib.exercises)`` lists all, and how each is called.
        function: yours. Of the optional arguments it need take none; cases that need one it lacks are left out.
    Returns:
        a report that is true when all cases pass; its text says otherwise which case does not, and why that may be.
    Raises:
        ValueError: there is no such exercise; names those that there are.
        TypeError: ``function`` cannot be called.
    """
    if exercise not in EXERCISES:
        raise ValueError(f"exercise must be one that exists: got {exercise!r}; {', '.join(EXERCISES)} would do")
    if not callable(function):
        raise TypeError(
            f"function must be something to call: got {type(function).__name__}; "
            f"check({exercise!r}, my_{exercise}) without brackets behind the name would do"
        )
    task = EXERCISES[exercise]
    cases = task.cases()
    names, problem = _names(function, cases)
    if problem:
        return Report(_wrapped(f"{exercise}: not yet. {problem}\nIt is called as {task.call}."), 0, len(cases))
    told = [case for case in cases if all(name in names for name in case.demands)]
    untold = list(dict.fromkeys(name for case in cases for name in case.demands if name not in names))
    first: tuple[Case, Difference] | None = None
    right, answers = 0, []
    for case in told:
        found = _ask(function, case, names, task.returns)
        difference = found if isinstance(found, Difference) else _compare(found, _truth(task, case, names), case)
        answers.append(found)
        if difference is None:
            right += 1
        elif first is None:
            first = case, difference
    lacks = f"Not checked, since your function does not take it: {', '.join(untold)}.\n" if untold else ""
    if first is None:
        text = f"{exercise}: right, in all {len(told)} cases.\n{lacks}"
        return Report(_wrapped(text), right, len(told))
    case, difference = first
    mistake = _recognise(task, told, answers, case, names) if difference.numbers else ""
    hint = case.hint if difference.numbers else ""  # a hint is about numbers, not about what an error says
    why = f"That is what you get {mistake}" if mistake else difference.why or hint
    if not why and difference.largest < ROUNDING:
        why = "So small a difference is rounding: the values came in double precision; was something made float32?"
    text = (
        f"{exercise}: not yet, {right} of {len(told)} cases come out right.\n"
        f"The first that does not, {case.about} ({_given(case)}):\n{difference.text}\n{why}\n{lacks}"
    )
    return Report(_wrapped(text), right, len(told), mistake)


def _wrapped(text: str) -> str:
    """Break long lines, and leave out empty ones."""
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join(
        textwrap.fill(line, WIDTH, subsequent_indent="  " if line.startswith(" ") else "", break_long_words=False)
        for line in lines
    )


# ---------------------------------------------------------------------- calling a reader's function


@dataclass(frozen=True)
class Difference:
    """What was wrong with one answer."""

    text: str
    why: str = ""
    numbers: bool = False  # the answer had the right form, so that a mistake can be looked for
    largest: float = float("inf")


def _names(function: Callable[..., Any], cases: list[Case]) -> tuple[dict[str, str], str]:
    """Map each optional argument that ``function`` takes to the function's own name for it; or say what is wrong."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []  # something of C, which does not say
    needed = list(cases[0].needed)
    optional = list(dict.fromkeys(name for case in cases for name in case.optional))
    variadic = {parameter.kind for parameter in parameters}
    by_position = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(by_position) < len(needed) and inspect.Parameter.VAR_POSITIONAL not in variadic and parameters:
        return {}, f"Your function must take {' and '.join(needed)}: got ({', '.join(map(str, parameters))})."
    rest = {p.name: p for p in parameters if p not in by_position[: len(needed)]}
    names = {}
    for name in optional:
        for own in (name, *ALIASES.get(name, ())):
            if own in rest:
                names[name] = own
                del rest[own]
                break
        else:
            if inspect.Parameter.VAR_KEYWORD in variadic:
                names[name] = name
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    strange = [p.name for p in rest.values() if p.default is p.empty and p.kind not in variable]
    if strange:
        known = ", ".join(optional) or "none"
        return {}, (
            f"Your function asks for {', '.join(strange)}, which nobody would pass; "
            f"give it a default, or one of these names: {known}."
        )
    return names, ""


def _arguments(case: Case, names: dict[str, str]) -> tuple[list[Any], dict[str, Any]]:
    """Copy a case's arguments, so that no function can spoil them for the next."""
    needed = [_copy(value) for value in case.needed.values()]
    if case.gradient:
        needed[0].requires_grad_()
    return needed, {name: _copy(value) for name, value in case.optional.items() if name in names}


def _copy(value: Any) -> Any:
    return value.clone(memory_format=torch.preserve_format) if isinstance(value, Tensor) else value


def _ask(
    function: Callable[..., Any], case: Case, names: dict[str, str], returns: tuple[str, ...]
) -> Results | Difference:
    """Call ``function``; return its results by name, or what was wrong with their form."""
    needed, optional = _arguments(case, names)
    before = [_copy(value.detach()) if isinstance(value, Tensor) else value for value in needed]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of cases that the reader does not see
            given = function(*needed, **{names[name]: value for name, value in optional.items()})
        found = _form(given, returns)
        if isinstance(found, Difference):
            return found
        if case.gradient:
            if not found["y"].requires_grad:
                return Difference(
                    "Your result hangs on x by no gradient.",
                    "Somewhere the values were detached, or changed into numbers (.item(), .tolist(), .numpy()).",
                )
            found["gradient of x"] = _gradient(found["y"], needed[0])
    except Exception as error:
        return _raised(function, error)
    for name, old, new in zip(case.needed, before, needed, strict=True):
        if isinstance(old, Tensor) and not torch.equal(old, new.detach()):
            return Difference(
                f"  Your function changes {name} in place.", f"Whoever called it still needs {name}: compute a new one."
            )
    for name in ("running_mean", "running_var"):
        if name in optional:
            found[name] = optional[name]
    return {name: value.detach() for name, value in found.items()}


def _form(given: Any, returns: tuple[str, ...]) -> Results | Difference:
    if given is None:
        return Difference("  Your function returns None.", "Was the last line a `return`?")
    if len(returns) == 1:
        if isinstance(given, Tensor):
            return {returns[0]: given}
        return Difference(f"  Your function returns a {type(given).__name__}; one tensor is wanted.")
    parts = list(given) if isinstance(given, (tuple, list)) else [given]
    parts = parts[-len(returns) :] if len(parts) == len(returns) + 1 else parts  # a count may stand before them
    if len(parts) != len(returns) or not all(isinstance(part, Tensor) for part in parts):
        return Difference(f"  Your function must return {' and '.join(returns)}, a tuple of {len(returns)} tensors.")
    return dict(zip(returns, parts, strict=True))


def _gradient(y: Tensor, x: Tensor) -> Tensor:
    """Return the gradient of a weighted sum of y, with weights that no symmetry hides."""
    weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).sin().view(y.shape)
    return torch.autograd.grad((y * weights).sum(), x)[0]


def _raised(function: Callable[..., Any], error: Exception) -> Difference:
    """Say an exception in one line, with the reader's own line where it happened."""
    code = inspect.unwrap(function).__code__ if hasattr(inspect.unwrap(function), "__code__") else None
    lines = [
        frame for frame in traceback.extract_tb(error.__traceback__) if code and frame.filename == code.co_filename
    ]
    place = f" in its line `{lines[-1].line}`" if lines and lines[-1].line else ""
    said = " ".join(str(error).split())
    said = said if len(said) <= 200 else said[:200].rsplit(" ", 1)[0] + " …"
    why = ""
    if "view size is not compatible" in said:
        why = "x need not lie in one piece in memory: `reshape` takes any layout, `view` does not."
    return Difference(f"  Your function raises {type(error).__name__}{place}: {said}", why)


def _truth(task: Exercise, case: Case, names: dict[str, str]) -> Results:
    return _known(task.right, case, names)


def _known(function: Callable[..., Results], case: Case, names: dict[str, str]) -> Results:
    """Call one of our own functions, right or wrong, in double precision."""
    needed, optional = _arguments(case, names)
    wide = [value.detach().double() if isinstance(value, Tensor) else value for value in needed]
    if case.gradient:
        wide[0].requires_grad_()
    kept = {name: value.double() if isinstance(value, Tensor) else value for name, value in optional.items()}
    found = function(*wide, **kept)
    if case.gradient:
        found["gradient of x"] = _gradient(found["y"], wide[0])
    return {name: value.detach() for name, value in found.items() if name not in BUFFERS or name in optional}


def _compare(found: Results, right: Results, case: Case) -> Difference | None:
    """Return the first difference, with the place where it is largest."""
    for name, want in right.items():
        got = found[name]
        if tuple(got.shape) != tuple(want.shape):
            return Difference(
                f"  {name} has shape {tuple(got.shape)}, and should have {tuple(want.shape)}.", numbers=True
            )
        x = next(iter(case.needed.values()))
        if got.dtype != x.dtype and name == "y":
            return Difference(f"  {name} is {got.dtype}, and should be {x.dtype}, as x is.")
        apart = ((got.double() - want).abs() / (1 + want.abs())).nan_to_num(nan=float("inf"))
        if apart.numel() and apart.max() > case.tolerance:
            at = tuple(int(i) for i in torch.unravel_index(apart.argmax(), apart.shape))
            largest = (got.double() - want).abs().max().item()
            text = f"  {name}{_place(at)} is {_number(got[at])}, and should be {_number(want[at])}"
            far = "" if largest != largest else f" (at most {largest:.2g} apart)"
            return Difference(f"{text}{far}.", numbers=True, largest=largest)
    return None


def _recognise(
    task: Exercise, told: list[Case], answers: list[Results | Difference], first: Case, names: dict[str, str]
) -> str:
    """Return the mistake that gives the reader's numbers in the first case that differs, and in most of the others."""
    best, most = "", 0
    for mistake in task.mistakes():
        matched, here = 0, False
        for case, answer in zip(told, answers, strict=True):
            if isinstance(answer, Difference):
                continue
            try:
                wrong = _known(mistake.gives, case, names)
            except (ValueError, RuntimeError):  # the mistake is none that this shape allows
                continue
            same = all(
                name in answer and answer[name].shape == value.shape and _near(answer[name], value, case)
                for name, value in wrong.items()
            )
            matched += same
            here |= same and case is first
        if here and matched > most:
            best, most = mistake.says, matched
    return best


def _near(got: Tensor, want: Tensor, case: Case) -> bool:
    tolerance = MATCH if case.tolerance == EXACT else case.tolerance
    return bool(torch.allclose(got.double(), want, rtol=tolerance, atol=tolerance, equal_nan=True))


def _place(at: tuple[int, ...]) -> str:
    return "[" + ", ".join(map(str, at)) + "]"


def _number(value: Tensor) -> str:
    return f"{value.item():.6g}"


def _given(case: Case) -> str:
    def said(name: str, value: Any) -> str:
        return f"{name} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"{name}={value}"

    shown = {**case.needed, **{name: case.optional[name] for name in case.demands}}
    return ", ".join(said(name, value) for name, value in shown.items())
