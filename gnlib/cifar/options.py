"""What can be typed behind ``python -m gnlib``, and the help that says so; knows what a run is, and starts none."""

from __future__ import annotations

import argparse
import difflib
import inspect
import math
import re
import textwrap
import typing
from collections.abc import Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

from gnlib.cifar import experiments, norms
from gnlib.cifar.runs import Config
from gnlib.cifar.training import Recipe

FINISHED, ERROR, USAGE, STOPPED, DIVERGED, INTERRUPTED = 0, 1, 2, 3, 4, 130
ME = "python -m gnlib"
RUNS = Path("runs")
RESULTS = Path("results")

GENERAL = f"""\
examples:
  {ME} doctor                                        what is here, and what to do next
  {ME} train --data digits --norm group:8            seconds on any machine, no download
  {ME} train --norm group:32 --batch-size 128        CIFAR-10 on a GPU
  {ME} train --model resnet8 --train-images 2000     CIFAR-10 on a laptop, a minute or two
  {ME} resume                                        go on with the newest run that was stopped
  {ME} sweep batch-size --seconds 3600               an hour of a named experiment, recorded run by run
  {ME} report batch-size                             means, intervals and numbers of runs

exit codes:
  {FINISHED}    finished
  {ERROR}    an error; one message on stderr says the rule, the values and a way out
  {USAGE}    the command line was not understood
  {STOPPED}    stopped by Ctrl-C, SIGTERM or a time limit, and saved; the last line says how to go on
  {DIVERGED}    diverged: the loss was no number any more; the message says at which step, and where
  {INTERRUPTED}  interrupted by a second Ctrl-C, or where there was nothing to save

environment:
  GNLIB_DATA=FOLDER   where CIFAR-10 lies, in the official binary layout
  GNLIB_DEBUG=1       show the traceback of an error
"""
EXAMPLES = {
    "train": f"""\
examples:
  {ME} train --data digits --norm batch --batch-size 2
  {ME} train --norm groups-of:16 --batch-size 8 --epochs 5 --seed 1
  {ME} train --model vgg --norm group:16 --dry-run
  {ME} train --norm ghost:8 --batch-size 32 --folder runs/ghost
""",
    "resume": f"""\
examples:
  {ME} resume
  {ME} resume runs/digits-group8-batch32-seed0
""",
    "sweep": f"""\
examples:
  {ME} sweep                              the sweeps, and how much of each is recorded
  {ME} sweep batch-size --reduced --list  the runs of one
  {ME} sweep batch-size --reduced --seconds 3600
""",
    "report": f"""\
examples:
  {ME} report
  {ME} report batch-size --figures figures
""",
    "doctor": f"""\
examples:
  {ME} doctor
  {ME} doctor --json
""",
    "data": f"""\
examples:
  {ME} data                       fetch CIFAR-10 unless it is here, and check it
  {ME} data ~/cifar-10 --offline  check a folder
  {ME} data digits
""",
}
MODELS = {
    "resnet9": "few, wide layers; learns fast on a GPU",
    "resnet9-whitened": "the same behind a frozen convolution that whitens its input",
    "resnet8": "three residual blocks of 16, 32 and 64 channels, for a laptop",
    "vgg": "the 13 convolutions of the annotated implementation",
    "digits": "four convolutions for 8 × 8 digits; its last map is 1 × 1",
    "digits-2x2": "three convolutions for 8 × 8 digits; its last map is 2 × 2",
}
SETTINGS = {
    "what is trained": ("norm", "model", "data", "seed", "train_images", "held_out"),
    "how it is trained": (
        "epochs", "batch_size", "accumulate", "optimizer", "lr", "lr_images", "momentum", "weight_decay", "decay_norm",
        "warmup", "schedule", "label_smoothing", "flip", "crop",
    ),
    "the network's start": ("zero_gamma", "gamma", "weight_standardization"),
    "speed": ("precision", "channels_last", "compile"),
    "evaluation": ("test_flips",),
}  # fmt: skip
"""The options of ``train`` that decide a run's result, as ``--help`` groups them."""


class Parser(argparse.ArgumentParser):
    """Parses as argparse does; options are written out in full, and a slip gets the nearest name."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_Help, **settings)
        self.color = False  # Python 3.14 would paint the help

    def error(self, message: str) -> NoReturn:
        """End with the usage, the message, and what may have been meant."""
        slip = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        if slip:
            near = difflib.get_close_matches(slip[1], re.findall(r"[\w-]+", slip[2]), 1)
            message += f"; did you mean {near[0]}?" if near else ""
        super().error(message)


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


def make_parser(given: Sequence[str] = ()) -> Parser:
    """Make the parser of the command line.

    Args:
        given: the arguments, of which the model decides the defaults that the help shows.
    """
    parser = Parser(
        prog=ME, description="Trains small networks with the norm of your choice, on CIFAR-10 or handwritten digits.",
        epilog=GENERAL,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=_version())
    parser.set_defaults(parser=parser, given=list(given))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def add(name: str, about: str, usage: str = "", lists: str = "") -> Parser:
        description = f"{about[0].upper()}{about[1:]}.\n{lists}"
        one: Parser = commands.add_parser(
            name, help=about, description=description, epilog=EXAMPLES[name], usage=f"{ME} {name} {usage}[options]"
        )
        one.set_defaults(command=name, parser=one)
        one.add_argument("--json", action="store_true", help="one JSON object on stdout, at the end, and nothing else")
        return one

    train = add("train", "train a network with the norm of your choice", lists=_words())
    _add_settings(train, _defaults(given))
    _add_run_options(train)
    train.add_argument("--folder", type=Path, metavar="DIR", help=(
        f"for configuration, metrics, checkpoints and record; if it holds the beginning of this run, the run goes on "
        f"(default: a new one in {RUNS}/, named after the run)"
    ))  # fmt: skip
    train.add_argument("--dry-run", action="store_true", help="check everything, say what would be run, touch no data")

    resume = add("resume", "go on with a run that was stopped or killed", "[FOLDER] ")
    resume.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help=(
        f"of the run (default: the newest in {RUNS}/ that is not finished)"
    ))  # fmt: skip
    _add_place(resume)
    _add_run_options(resume)

    sweep = add("sweep", "make the runs of a named experiment that are not recorded yet", "[NAME] ")
    sweep.add_argument("name", nargs="?", metavar="NAME", help=f"{', '.join(experiments.SWEEPS)}; none lists them")
    sweep.add_argument("--reduced", action="store_true", help="the form for a few CPU cores, recorded as such")
    sweep.add_argument("--list", action="store_true", help="list the runs, and which are recorded; run nothing")
    sweep.add_argument("--seconds", type=_seconds, default=math.inf, metavar="X", help=(
        "stop and save after this many; the same command goes on (default: no limit)"
    ))  # fmt: skip
    sweep.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="of the records (default: results)")
    sweep.add_argument("--work", type=Path, default=RUNS, metavar="DIR", help=(
        f"for runs while they go on (default: {RUNS})"
    ))  # fmt: skip
    sweep.add_argument("--quiet", action="store_true", help="the last line only")
    _add_place(sweep)

    report = add("report", "say what records say: means, 95 %% intervals, numbers of runs", "[NAME] ")
    report.add_argument("name", nargs="?", metavar="NAME", help="of the experiment (default: all that are recorded)")
    report.add_argument("--results", type=Path, metavar="DIR", help=(
        f"of the records (default: {RESULTS}, or those that come with the book)"
    ))  # fmt: skip
    report.add_argument("--markdown", action="store_true", help="tables in Markdown")
    report.add_argument("--figures", type=Path, metavar="DIR", help="draw figures into this folder, too, as SVG")

    _add_place(add("doctor", "look at this machine, and say what to do next"))

    one = add("data", "fetch a data set unless it is here, check it, and describe it", "[DATA] ")
    one.add_argument("data", nargs="?", default="cifar10", metavar="DATA", help=(
        "cifar10, digits, or a folder with CIFAR-10 in the official binary layout (default: cifar10)"
    ))  # fmt: skip
    one.add_argument("--offline", action="store_true", help="fetch nothing")
    one.set_defaults(data_folder=None)
    return parser


def _add_settings(parser: Parser, defaults: Config) -> None:
    hints = typing.get_type_hints(Config) | typing.get_type_hints(Recipe)
    words = setting_words()
    values = defaults.flat() | {"precision": "auto"}
    for title, names in SETTINGS.items():
        group = parser.add_argument_group(title)
        for name in names:
            option = _option(name)
            told = re.sub(r"\b[a-z]+_[a-z]+\b", lambda other: _option(other[0]), words[name])
            told = f"{told} (default: {_write(values[name])})".replace("%", "%%")
            if name == "data":
                group.add_argument(option, default="cifar10", metavar="DATA", help=told)
                group.add_argument("--data-folder", type=Path, metavar="DIR", help=(
                    "where CIFAR-10 lies (default: GNLIB_DATA, or else a cache that is filled when it is needed)"
                ))  # fmt: skip
            elif hints[name] is bool:
                group.add_argument(option, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=told)
            elif name == "compile":
                group.add_argument(
                    option, nargs="?", const="default", default=argparse.SUPPRESS, metavar="MODE", help=told
                )
            else:
                kinds: dict[Any, tuple[Any, str]] = {str: (str, name.upper()), float: (_number, "X")}
                kind, letter = kinds.get(hints[name], (_whole, "N"))
                group.add_argument(option, type=kind, default=argparse.SUPPRESS, metavar=letter, help=told)
        if title == "speed":
            _add_device(group)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _add_device(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--device", default="auto", metavar="DEVICE", help=(
        "auto, cpu, cuda, cuda:1, mps (default: auto, a GPU where there is one)"
    ))  # fmt: skip


def _add_place(parser: Parser) -> None:
    _add_device(parser)
    parser.add_argument("--data-folder", "--data", type=Path, metavar="DIR", help="where CIFAR-10 lies")


def _add_run_options(parser: Parser) -> None:
    parser.add_argument("--quiet", action="store_true", help="the last line only")
    parser.add_argument("--tensorboard", action="store_true", help="write event files into the run's folder, too")


def setting_words() -> dict[str, str]:
    """Return the settings of a run and what each means: the comments that stand beside the fields."""
    words: dict[str, str] = {}
    for kind in (Config, Recipe):
        comments = dict(re.findall(r"^    (\w+): .*?  # (.+)$", inspect.getsource(kind), re.MULTILINE))
        words |= {
            item.name: comments[item.name].partition("; None")[0] for item in fields(kind) if item.name != "recipe"
        }
    return words | {
        "norm": "one of the norms above",
        "model": "one of the models above",
        "data": "cifar10, digits, or a folder with CIFAR-10 in the official binary layout",
        "precision": f"{words['precision']}; or auto: the fastest that the device is good at",
        "compile": "compile the network first; MODE is default, reduce-overhead (CUDA graphs) or max-autotune",
    }


def _defaults(given: Sequence[str]) -> Config:
    """Return the defaults of the model that is named among the arguments."""
    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    peek.add_argument("--model")
    peek.add_argument("--data")
    try:
        named = vars(peek.parse_known_args(list(given))[0])
        return Config.of(**{name: value for name, value in named.items() if value})
    except (ValueError, argparse.ArgumentError):
        return Config.of()


def _words() -> str:
    """List the norms and the models for the help."""
    lines = []
    for title, those in (("norms", norms.SPECS), ("models", MODELS)):
        lines += ["", f"{title}:"]
        for name, about in those.items():
            lines.append(textwrap.fill(f"{name:17} {about}", 78, initial_indent="  ", subsequent_indent=" " * 20))
    lines += ["", "The defaults below are the model's: `train --model vgg --help` shows vgg's."]
    return "\n".join(lines)


def complaint(parser: Parser, unknown: Sequence[str]) -> str:
    """Say which argument is unknown, and what may have been meant."""
    name = next((word for word in unknown if word.startswith("-")), unknown[0])
    known = [option for option in parser._option_string_actions if option.startswith("--")]
    near = difflib.get_close_matches(name.partition("=")[0], known, 1)
    advice = f"did you mean {near[0]}?" if near else f"{parser.prog} --help lists all"
    return f"there is no {'option' if name.startswith('-') else 'argument'} {name}; {advice}"


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number: got {text!r}") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number: got {text!r}") from None


def _seconds(text: str) -> float:
    seconds = _number(text)
    if not seconds >= 0:
        raise argparse.ArgumentTypeError(f"must be a number from 0 on: got {text!r}")
    return seconds


def _write(value: object) -> str:
    if value is None:
        return "what the data set has"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value) or "no"


def _version() -> str:
    try:
        return f"gnlib-book {version('gnlib-book')}"
    except PackageNotFoundError:
        return "gnlib, not installed"
