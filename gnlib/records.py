"""Says what a run's record holds, keeps records as JSON lines, and sums them up; knows nothing else of gnlib.

One record is one run: what was asked for, what came out, on which machine, from which commit. Whoever trains or
measures appends; chapters, figures and reports read, and no number is typed by hand.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import re
import statistics
import subprocess
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

SCHEMA = 1
Scalar = str | int | float | bool | None  # what a config may hold
ONE_WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
CODE = ("gnlib", "benchmarks")  # what decides a result; files elsewhere in a checkout do not
UNITS = (
    "ns", "us", "ms", "s", "bytes", "kB", "MB", "GB", "per_s", "ratio", "fraction", "percent", "count", "images",
)  # fmt: skip
"""How the name of a benchmark's number may end: ``forward_us``, ``copy_GB_per_s``, ``rounds_count``."""


# ------------------------------------------------------------------------------------------------------ the schema


class Rule(NamedTuple):
    """What a field may hold."""

    allowed: str  # for people: "NAME must be …"
    holds: Callable[[Any], bool]


def _number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def _whole(least: int) -> Rule:
    def holds(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= least

    return Rule(f"a whole number from {least} on", holds)


def _one_of(*values: object) -> Rule:
    def holds(value: object) -> bool:
        return any(type(value) is type(one) and value == one for one in values)  # True is not 1

    return Rule(" or ".join(json.dumps(value) for value in values), holds)


def _matches(pattern: str, allowed: str) -> Rule:
    return Rule(allowed, lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None)


def _history(value: object) -> bool:
    """Whether this is a list of epochs in ascending order, each a flat object of numbers and nulls."""
    if not isinstance(value, list) or not all(isinstance(row, dict) and _number(row.get("epoch")) for row in value):
        return False
    epochs = [row["epoch"] for row in value]
    return epochs == sorted(set(epochs)) and all(
        number is None or _number(number) for row in value for number in row.values()
    )


def _flat(value: object) -> bool:
    return isinstance(value, dict) and all(
        name and (item is None or isinstance(item, str | bool) or _number(item)) for name, item in value.items()
    )


def _measured(value: object) -> bool:
    return _flat(value) and all(
        isinstance(item, str) or (_number(item) and name.endswith(tuple(f"_{unit}" for unit in UNITS)))
        for name, item in value.items()  # type: ignore[attr-defined]  # _flat says that it is a dict
    )


OBJECT = Rule("an object", lambda value: isinstance(value, dict))
TEXT = _matches(r"[^\n]+", "a text of one line")
FRACTION = Rule("a fraction from 0 to 1, or null", lambda value: value is None or (_number(value) and 0 <= value <= 1))
LOSS = Rule("a finite number, or null", lambda value: value is None or _number(value))

RECORD = {
    "schema": _one_of(SCHEMA),
    "kind": _one_of("training", "benchmark"),
    "experiment": _matches(ONE_WORD.pattern, 'a word such as "batch-size"'),
    "config": Rule("a flat object of texts, finite numbers, true, false and null", _flat),
    "outcome": _one_of("finished", "diverged"),
    "results": OBJECT,
    "seconds": Rule("a finite number from 0 on", lambda value: _number(value) and value >= 0),
    "data": OBJECT,
    "machine": OBJECT,
    "machine.device": TEXT,
    "machine.threads": _whole(1),
    "machine.torch": TEXT,
    "machine.python": TEXT,
    "machine.system": TEXT,
    "commit": TEXT,
    "changed": _one_of(True, False),
    "finished": _matches(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", 'UTC as in "2026-01-31T12:00:00+00:00"'),
}
TRAINING = {
    "config.data": TEXT,
    "config.model": TEXT,
    "config.norm": TEXT,
    "config.seed": _whole(0),
    "config.batch_size": _whole(1),
    "config.epochs": _whole(1),
    "results.test_accuracy": FRACTION,
    "results.test_loss": LOSS,
    "results.held_out_accuracy": FRACTION,
    "results.held_out_loss": LOSS,
    "results.train_loss": LOSS,
    "results.values_per_statistic": Rule(
        "a whole number from 1 on, or null", lambda value: value is None or _whole(1).holds(value)
    ),
    "results.history": Rule("a list of objects of numbers and nulls, with ascending epoch", _history),
    "data.name": TEXT,
    "data.fingerprint": _matches("sha256:[0-9a-f]{64}", '"sha256:" and 64 hexadecimal digits'),
    "data.train": _whole(1),
    "data.held_out": _whole(0),
    "data.test": _whole(0),
}
BENCHMARK = {
    "results": Rule(f"a flat object of texts, and of finite numbers whose names end in _{', _'.join(UNITS)}", _measured)
}
OF_KIND = {"training": RECORD | TRAINING, "benchmark": RECORD | BENCHMARK}
CLOSED = {"training": ("", "results", "data", "machine"), "benchmark": ("", "machine")}  # have these fields, no others
MISSING = object()


def validate(record: Mapping[str, Any]) -> None:
    """Check a record, given as the object that its JSON line holds, against the schema.

    Raises:
        ValueError: names the first field that is wrong, its value, and what is allowed there.
    """
    kind = record.get("kind")
    rules = OF_KIND.get(kind if isinstance(kind, str) else "", RECORD)
    for name, rule in rules.items():
        value = _at(record, name)
        if value is MISSING:
            raise ValueError(f"{name} is missing; it must be {rule.allowed}")
        if not rule.holds(value):
            raise ValueError(f"{name} must be {rule.allowed}: got {_short(value)}")
    for whole in CLOSED[record["kind"]]:
        known = {_last(name) for name in rules if name.rpartition(".")[0] == whole}
        for name in _at(record, whole) if whole else record:
            if name not in known:
                raise ValueError(f"{whole or 'a record'} has no field {name!r}; it has {', '.join(sorted(known))}")
    if record["kind"] == "training":
        if record["data"]["name"] != record["config"]["data"]:
            raise ValueError(
                f"data.name must be config.data: got {record['data']['name']!r} and {record['config']['data']!r}"
            )
        for name in ("test_accuracy", "test_loss", "train_loss"):
            if record["outcome"] == "finished" and record["results"][name] is None:
                raise ValueError(f'results.{name} must be a number where outcome is "finished": got null')


def _at(record: Mapping[str, Any], name: str) -> Any:
    value: Any = record
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return MISSING
        value = value[part]
    return value


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


@dataclass(frozen=True)
class Record:
    """One run: what was asked for, what came out, where and when.

    ``results/README.md`` lists the fields of ``config``, ``results``, ``data`` and ``machine``.

    Raises:
        ValueError: a field is not what the schema allows; see :func:`validate`.
    """

    kind: str  # "training" or "benchmark"
    experiment: str  # the file's stem: "batch-size"
    config: Mapping[str, Scalar]  # all that decides the result; flat
    outcome: str  # "finished" or "diverged"
    results: Mapping[str, Any]  # accuracies are fractions from 0 to 1
    seconds: float  # of training, device synchronised; evaluation and compilation not counted
    data: Mapping[str, Any]
    machine: Mapping[str, Any]
    commit: str
    changed: bool  # the code differed from the commit
    finished: str  # UTC, ISO 8601
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        validate(self._fields())

    def _fields(self) -> dict[str, Any]:
        names = ["schema", *(field.name for field in fields(self) if field.name != "schema")]
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> str:
        """Write the record as one line of JSON, without the newline."""
        return json.dumps(self._fields(), allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Record:
        """Read a record from a line of JSON.

        Raises:
            ValueError: the line is no JSON object, or breaks the schema.
        """
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            raise
        except (ValueError, RecursionError) as error:  # a number of thousands of digits; brackets as deep
            raise ValueError(f"a record must be JSON that Python can read: {error}") from None
        if not isinstance(record, dict):
            raise ValueError(f"a record must be a JSON object: got {_short(record)}")
        validate(record)
        return cls(**record)


def finite(value: Any) -> Any:
    """Replace NaN and infinity by None, at any depth: JSON has neither, and a diverged run is full of them."""
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ------------------------------------------------------------------------------------------------------- the files


class TornLine(UserWarning):
    """A line of a file of records that a crash cut short."""


def append(path: Path | str, record: Record) -> None:
    """Add a record to a file of JSON lines, on disk when this returns.

    One write of one line: a process that is killed leaves at most its own line torn, and two processes do not mix
    theirs. Behind a torn line the record starts on a line of its own.

    Raises:
        OSError: the disk took only a part of the line.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        length = os.lseek(file, 0, os.SEEK_END)
        torn = length > 0 and os.lseek(file, -1, os.SEEK_END) >= 0 and os.read(file, 1) != b"\n"
        line = b"\n" * torn + record.to_json().encode() + b"\n"
        written = os.write(file, line)
        if written < len(line):
            raise OSError(f"{path}: the disk took {written} of the record's {len(line)} bytes; is it full?")
        os.fsync(file)
    finally:
        os.close(file)
    if new and hasattr(os, "O_DIRECTORY"):  # a new file's name is on disk only when its folder is
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read(path: Path | str) -> list[Record]:
    """Read a file of records, in the order in which they were appended; a file that is not there has none.

    A torn line is left out, with a :class:`TornLine` warning that names it.

    Raises:
        ValueError: a whole line breaks the schema; names the file, the line and the field.
    """
    path = Path(path)
    found = []
    for number, line in enumerate(path.read_bytes().split(b"\n") if path.exists() else [], 1):
        if not line.strip():
            continue
        try:
            with contextlib.suppress(RecursionError):
                json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError):  # of a torn line, and of a torn character
            warnings.warn(
                f"{path}, line {number}: cut short, as by a crash, and left out; its run has to be made again",
                TornLine,
                stacklevel=2,
            )
            continue
        except ValueError:
            pass  # a number of thousands of digits, which is refused below
        try:
            found.append(Record.from_json(line.decode()))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    return found


def shipped() -> Path:
    """Return the folder of the records that come with the book: inside a wheel, beside the package in a checkout."""
    here = Path(__file__).resolve().parent
    return here / "results" if (here / "results").is_dir() else here.parent / "results"


def experiments() -> list[str]:
    """Name the experiments whose records come with the book."""
    return sorted(path.stem for path in shipped().glob("*.jsonl"))


def recorded(experiment: str) -> list[Record]:
    """Read the records of an experiment that come with the book, such as ``recorded("batch-size")``.

    Raises:
        ValueError: there are none of this name; lists those that there are.
    """
    there = experiments()
    if experiment not in there:
        others = ", ".join(there) or "no experiment yet"
        raise ValueError(f"there are no records of {experiment!r}; there are of {others}")
    return read(shipped() / f"{experiment}.jsonl")


# ------------------------------------------------------------------------------------------------ whence and where


def machine(device: str, threads: int) -> dict[str, Any]:
    """Describe the machine as a record does: enough to judge a time, nothing that names its owner.

    Args:
        device: what computed, for people: "NVIDIA H100 80GB HBM3", "cpu".
        threads: of torch on the CPU.
    """
    return {
        "device": device,
        "threads": threads,
        "torch": _version("torch"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


class Provenance(NamedTuple):
    """Which code ran."""

    commit: str  # 40 hexadecimal digits; "gnlib-book 0.1.0" from a wheel; or "unknown"
    changed: bool  # files of the code differ from the commit, or are not in it

    @property
    def short(self) -> str:
        """The commit's first seven digits; anything else whole."""
        return self.commit[:7] if re.fullmatch("[0-9a-f]{40}", self.commit) else self.commit


def provenance(root: Path | str | None = None) -> Provenance:
    """Find out which commit runs: of the checkout ``root``, by default the one that this file lies in.

    Where there is a copy of a checkout without git, ``GNLIB_COMMIT`` can say it: a hash, with "+changed" behind it if
    files differ. Otherwise the version of the installed gnlib-book stands in for the commit.
    """
    root = Path(__file__).resolve().parents[1] if root is None else Path(root)
    # an installed gnlib may lie in somebody else's repository, whose commit says nothing about it
    if _git(root, "ls-files", "--error-unmatch", "gnlib/records.py") is not None:
        commit = _git(root, "rev-parse", "HEAD")
        if commit:
            return Provenance(commit, bool(_git(root, "status", "--porcelain", "--", *CODE)))
    told, _, changed = os.environ.get("GNLIB_COMMIT", "").partition("+")
    if told:
        return Provenance(told, bool(changed))
    installed = _version("gnlib-book")
    return Provenance("unknown" if installed == "unknown" else f"gnlib-book {installed}", False)


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git prints, or None where there is no git, no repository or no such file."""
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


# ------------------------------------------------------------------------------------------- which runs are the same


def key(experiment: str, config: Mapping[str, Scalar]) -> str:
    """Name a cell of an experiment, so that a sweep can skip what is recorded.

    Neither the order of the fields nor 1 against 1.0 matters; a field that is null counts as left out, so that an
    option that a later version adds does not make old records strangers.
    """
    given = {name: _canonical(value) for name, value in config.items() if value is not None}
    return f"{experiment} {json.dumps(given, sort_keys=True, separators=(',', ':'), allow_nan=False)}"


def _canonical(value: Scalar) -> Scalar:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def same(config: Mapping[str, Scalar], other: Mapping[str, Scalar]) -> bool:
    """Whether two configs ask for the same run."""
    return key("", config) == key("", other)


def latest(found: Iterable[Record]) -> list[Record]:
    """Keep of every config the last record, in the order of the first."""
    return list({key(record.experiment, record.config): record for record in found}.values())


class Setting(NamedTuple):
    """Training records that may stand in one table: alike in all but what the table shows, and the seed."""

    differs: dict[str, Scalar]  # what sets it apart from the other settings
    records: list[Record]  # of each run only the last record, so that no seed counts twice

    @property
    def headline(self) -> str:
        """Say what sets it apart, as in "epochs = 10, device = cpu"; "" for a lone setting."""
        return describe(self.differs)


def separate(records: Iterable[Record], axes: Sequence[str]) -> list[Setting]:
    """Sort training records into settings that may be averaged, those with most records first.

    Two records are of one setting if they agree in all of the config but ``axes`` and the seed, and in the data's
    fingerprint and the device.

    Args:
        records: of any experiment; benchmarks are refused.
        axes: the fields of the config that the table or figure shows, such as ("norm", "batch_size").
    Raises:
        ValueError: a record is not of a training.
    """
    free = {*axes, "seed"}
    found: dict[str, dict[str, Record]] = {}
    fixed: dict[str, dict[str, Scalar]] = {}
    for record in records:
        if record.kind != "training":
            raise ValueError(f"only records of training have accuracies: got one of kind {record.kind!r}")
        rest = {name: value for name, value in record.config.items() if name not in free}
        rest |= {"fingerprint": record.data["fingerprint"], "device": record.machine["device"]}
        setting = key("", rest)
        fixed[setting] = rest
        runs = found.setdefault(setting, {})
        run = key("", record.config)
        if run not in runs or runs[run].finished <= record.finished:
            runs[run] = record
    names = dict.fromkeys(name for rest in fixed.values() for name in rest)
    varied = [name for name in names if len({key("", {"": rest.get(name)}) for rest in fixed.values()}) > 1]
    settings = [
        Setting({name: fixed[setting].get(name) for name in varied}, list(runs.values()))
        for setting, runs in found.items()
    ]
    return sorted(settings, key=lambda setting: -len(setting.records))


def one_setting(records: Iterable[Record], axes: Sequence[str], shown: str) -> list[Record]:
    """Return records that may stand together, the last of each repeated run.

    Args:
        records: which differ in ``axes`` and the seed only.
        axes: fields of the config that are shown.
        shown: what they are for, in the error: "a figure", "a table".
    Raises:
        ValueError: there are none, or they differ in more; names in what.
    """
    settings = separate(records, axes)
    if not settings:
        raise ValueError(f"there are no records to show in {shown}")
    if len(settings) > 1:
        headlines = "; ".join(setting.headline for setting in settings)
        raise ValueError(
            f"{shown} shows one setting, and these records are of {len(settings)}: {headlines}; "
            f"take one of gnlib.records.separate(records, {tuple(axes)!r})"
        )
    return settings[0].records


def describe(differs: Mapping[str, Scalar]) -> str:
    """Write fields of a config for people: "epochs = 10, train_images = all, device = cpu"."""
    return ", ".join(f"{name} = {_value(name, value)}" for name, value in differs.items())


def _value(name: str, value: Scalar) -> str:
    if name == "fingerprint":
        return short_fingerprint(str(value))
    if value is None:
        return "all" if name == "train_images" else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else value or '""'


def short_fingerprint(fingerprint: str) -> str:
    """Cut a fingerprint to what tells data sets apart: "sha256:" and eight digits."""
    return fingerprint[: len("sha256:") + 8]


NORMS = {
    "batch": "BatchNorm",
    "layer": "LayerNorm",
    "instance": "InstanceNorm",
    "group": "GroupNorm, G = {}",
    "groups-of": "GroupNorm, {} channels a group",
    "ghost": "BatchNorm over {} images",
    "none": "no norm",
}


def norm_name(norm: str) -> str:
    """Write a config's norm for people: "group:8" is "GroupNorm, G = 8"; one that is not known stays as it is."""
    family, _, number = norm.partition(":")
    name = NORMS[family].format(number) if family in NORMS else norm
    return re.sub(r"\b1 (image|channel)s", r"1 \1", name)


# ------------------------------------------------------------------------------------------------------- statistics


class Summary(NamedTuple):
    """What some runs that differ only in their seed say together; for one run there is no spread."""

    mean: float
    sd: float | None  # sample standard deviation, over n - 1
    half_width: float | None  # the 95 % interval of the mean is mean ± half_width
    n: int


def summarize(values: Iterable[float]) -> Summary:
    r"""Sum up the values of runs that differ only in their seed.

    The interval is Student's, :math:`\bar x \pm t_{0.975,\,n-1}\, s / \sqrt{n}`: it would hold the true mean in 95 of
    100 such experiments if the runs spread like a normal distribution. One run tells nothing about the spread, and so
    has no interval.

    Raises:
        ValueError: there is no value.
    Source: Student 1908, The probable error of a mean.
    """
    found = list(values)
    if not found:
        raise ValueError("a summary needs at least one value: got none")
    mean = statistics.fmean(found)
    if len(found) == 1:
        return Summary(mean, None, None, 1)
    sd = statistics.stdev(found)
    return Summary(mean, sd, t_quantile(0.975, len(found) - 1) * sd / math.sqrt(len(found)), len(found))


class Cell(NamedTuple):
    """What the runs of one cell of a table say; ``summary`` is None if none of them has a number."""

    summary: Summary | None  # of the runs that finished
    diverged: int  # runs that did not


def cell(runs: Sequence[Record], value: str = "held_out_accuracy") -> Cell:
    """Sum up one of the results, or "seconds", over runs of one setting that differ only in their seed."""
    finished = [run for run in runs if run.outcome == "finished"]
    found = [run.seconds if value == "seconds" else run.results[value] for run in finished]
    numbers = [number for number in found if number is not None]
    return Cell(summarize(numbers) if numbers else None, len(runs) - len(finished))


def t_quantile(probability: float, degrees: int) -> float:
    """Return the value that a Student t variable stays below with this probability, from 0.5 to 1.

    Args:
        probability: from 0.5 to below 1.
        degrees: of freedom, 1 or more.
    Source: Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4; solved by bisection.
    """
    low, high = 0.0, math.pi / 2  # of the angle whose tangent is t / sqrt(degrees)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(middle, degrees) < 2 * probability - 1 else (low, middle)
    return math.tan(low) * math.sqrt(degrees)


def _inside(angle: float, degrees: int) -> float:
    """Probability that \\|t\\| stays below tan(angle) · sqrt(degrees): a finite sum for whole degrees of freedom."""
    term = math.cos(angle) if degrees % 2 else 1.0
    total = 0.0
    for power in range(3 if degrees % 2 else 2, degrees + 1, 2):
        total += term
        term *= math.cos(angle) ** 2 * (power - 1) / power
    if degrees % 2:
        return (angle + math.sin(angle) * total) * 2 / math.pi
    return math.sin(angle) * total
