"""Writes records as tables: means, 95 % intervals and numbers of runs, as text, Markdown or data.

Knows records, and nothing of how they came about. Runs that differ in more than a table shows stand in tables of their
own, under a headline that says in what.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gnlib.records import (
    NORMS,
    Cell,
    Provenance,
    Record,
    Scalar,
    Setting,
    cell,
    describe,
    norm_name,
    one_setting,
    separate,
    short_fingerprint,
)

AXES: dict[str, tuple[str, ...]] = {
    "origin": ("norm",),
    "batch-size": ("norm", "batch_size"),
    "groups": ("norm",),
    "ghost": ("norm",),
    "speedrun": (),
}
"""The fields of the config that an experiment's tables show; in other experiments every setting has a row."""

TITLES = {
    "held_out_accuracy": "held-out accuracy (%)",
    "test_accuracy": "test accuracy (%)",
    "held_out_loss": "held-out loss (nats)",
    "test_loss": "test loss (nats)",
    "train_loss": "training loss (nats)",
    "seconds": "training time (s)",
    "norm": "norm",
    "batch_size": "batch size",
    "train_images": "training images",
}
COLUMNS = ("held_out_accuracy", "test_accuracy", "train_loss", "seconds")
LEGEND = "a ± b (n): mean and Student's 95 % interval of n runs that differ in their seed; one run has no interval."


class Grid(NamedTuple):
    """A table before it is written."""

    title: str
    head: list[str]
    rows: list[list[str]]


def table(
    records: Iterable[Record], rows: str = "norm", columns: str = "batch_size", value: str = "held_out_accuracy"
) -> str:
    """Write one of the results by two fields of the config, as monospaced text.

    Args:
        records: of one setting: they differ in the two fields and the seed only.
        rows: a field of the config, such as "norm".
        columns: another.
        value: a field of the results, or "seconds".
    Raises:
        ValueError: there are no records, or they differ in more.
    """
    return as_text(_by_two(one_setting(records, (rows, columns), "a table"), rows, columns, value))


def markdown(
    records: Iterable[Record], rows: str = "norm", columns: str = "batch_size", value: str = "held_out_accuracy"
) -> str:
    """Write one of the results by two fields of the config, as a table in Markdown; see :func:`table`."""
    return as_markdown(_by_two(one_setting(records, (rows, columns), "a table"), rows, columns, value))


def report(experiment: str, records: Iterable[Record], form: str = "text") -> str:
    """Write all that the records of an experiment say: a block for each setting, with tables and what holds for it.

    Args:
        experiment: a key of :data:`AXES`; any other word has a row for each setting.
        records: of the experiment, full and reduced runs together if need be.
        form: "text" or "markdown".
    Raises:
        ValueError: there are no records, or no such form.
    """
    if form not in ("text", "markdown"):
        raise ValueError(f'form must be "text" or "markdown": got {form!r}')
    write, heading = (as_text, "{}\n") if form == "text" else (as_markdown, "### {}\n")
    given = list(records)
    settings = _settings(experiment, given)
    blocks = []
    for differs, runs, grids in settings:
        lines = [heading.format(f"{experiment}: {describe(differs)}" if differs else experiment)]
        lines += [write(grid) + "\n" for grid in grids]
        lines += [("- " if form == "markdown" else "  ") + fact for fact in facts(runs)]
        blocks.append("\n".join(lines))
    notes = [LEGEND]
    repeated = len(given) - sum(len(runs) for _, runs, _ in settings)
    if repeated > 0:
        notes.append(f"{_count(repeated, 'run')} made again: of each, the last one counts.")
    tuned = _tuned(given) if experiment == "batch-size" else []
    blocks += [
        heading.format(f"{experiment}: the best of the learning rates tried") + "\n" + write(grid) for grid in tuned
    ]
    return "\n\n".join([*blocks, "\n".join(notes)]) + "\n"


def data(experiment: str, records: Iterable[Record]) -> dict[str, Any]:
    """Give what :func:`report` says as JSON's types: settings, their cells, and in each cell the summaries.

    Accuracies are fractions; ``half_width`` is that of the 95 % interval, and null for one run.

    Raises:
        ValueError: there are no records.
    """
    axes = AXES.get(experiment, ())
    settings = []
    for setting in _separated(records, axes):
        cells = []
        for place, runs in _cells(setting.records, axes).items():
            summaries = {value: cell(runs, value).summary for value in COLUMNS}
            cells.append(
                {
                    **dict(zip(axes, place, strict=True)),
                    **{name: found and found._asdict() for name, found in summaries.items()},
                    "diverged": cell(runs).diverged,
                }
            )
        settings.append({"differs": setting.differs, "facts": facts(setting.records), "cells": cells})
    return {"experiment": experiment, "settings": settings}


def overview(records: Iterable[Record]) -> str:
    """Write as a table in Markdown how many runs there are of what, and where they were made: training and benchmarks.

    A row holds what one commit ran for one experiment on one kind of machine; ``+`` behind a commit says that the code
    differed from it.
    """
    found: dict[tuple[str, ...], list[Record]] = {}
    for run in records:
        what = f"reduced {run.kind}" if run.config.get("train_images") is not None else run.kind
        data = f"`{short_fingerprint(run.data['fingerprint'])}`" if run.kind == "training" else "–"
        machine = f"{run.machine['device']}, {run.machine['system']}, torch {run.machine['torch']}"
        place = (run.experiment, what, machine, data.replace("sha256:", ""), f"`{_commit(run)}`")
        found.setdefault(place, []).append(run)
    rows = []
    for (experiment, *where), runs in sorted(found.items()):
        diverged = sum(run.outcome == "diverged" for run in runs)
        count = f"{len(runs):,}" + (f", {diverged} diverged" if diverged else "")
        days = sorted({run.finished[:10] for run in runs})
        rows.append([f"`{experiment}`", count, *where, " to ".join(dict.fromkeys((days[0], days[-1])))])
    head = ["experiment", "runs", "what", "machine", "data", "commit", "made on"]
    return as_markdown(Grid("", head, rows), numbers=False)


def facts(runs: Sequence[Record]) -> list[str]:
    """Say in a few lines what holds for all these runs: seeds, images, epochs, machine, data and code."""

    def each(values: Iterable[Scalar]) -> str:
        ordered = sorted(set(values), key=_rank(""))
        return ", ".join(f"{value:,}" if isinstance(value, int) else str(value) for value in ordered)

    seeds = {run.config["seed"] for run in runs}
    small = any(run.config.get("train_images") is not None for run in runs)
    lines = [
        f"{_count(len(seeds), 'seed')}; {each(run.config['epochs'] for run in runs)} epochs of "
        f"{each(run.data['train'] for run in runs)} training images; {each(run.data['held_out'] for run in runs)} held "
        f"out, {each(run.data['test'] for run in runs)} for the test",
        f"network {each(run.config['model'] for run in runs)}; {each(run.machine['device'] for run in runs)}, torch "
        f"{each(run.machine['torch'] for run in runs)}",
        f"data {each(run.data['name'] + ' ' + short_fingerprint(run.data['fingerprint']) for run in runs)}; code "
        f"{each(run.commit[:7] if len(run.commit) == 40 else run.commit for run in runs)}"
        + (", changed since" if any(run.changed for run in runs) else ""),
    ]
    if any(run.config.get("test_flips") for run in runs):
        lines.append("evaluated with test-time flips: the scores of an image and of its mirror image, averaged")
    return ["reduced: trained on a part of the images", *lines] if small else lines


# ---------------------------------------------------------------------------------------------- what stands in a table


def _settings(experiment: str, records: Sequence[Record]) -> list[tuple[dict[str, Scalar], list[Record], list[Grid]]]:
    """Sort the records into blocks: what sets each apart, its runs, and its tables."""
    if experiment not in AXES or experiment == "speedrun":  # every setting is a row, so that one can compare them
        settings = _separated(records, ())
        runs = [run for setting in settings for run in setting.records]
        return [({}, runs, [_speeds(settings) if experiment == "speedrun" else _by_setting(settings)])]
    found = []
    for differs, runs in _separated(records, AXES[experiment]):
        if experiment == "batch-size":
            grids = [_by_two(runs, "norm", "batch_size", value) for value in ("held_out_accuracy", "test_accuracy")]
        elif experiment == "groups":
            halves = {"by groups": ("groups-of", "instance"), "by channels a group": ("group", "layer")}
            grids = [_by_norm(runs, title, without) for title, without in halves.items()]
        else:
            grids = [_by_norm(runs)]
        found.append((differs, runs, [grid for grid in grids if grid.rows]))
    return found


def _by_two(runs: Sequence[Record], rows: str, columns: str, value: str) -> Grid:
    cells = _cells(runs, (rows, columns))
    across = sorted({place[1] for place in cells}, key=_rank(columns))
    down = sorted({place[0] for place in cells}, key=_rank(rows))
    return Grid(
        f"{TITLES.get(value, value)} by {TITLES.get(columns, columns)}",
        [TITLES.get(rows, rows), *(_name(columns, column) for column in across)],
        [
            [_name(rows, row), *(_write(cell(cells.get((row, column), []), value), value) for column in across)]
            for row in down
        ],
    )


def _by_norm(runs: Sequence[Record], title: str = "", without: Sequence[str] = ()) -> Grid:
    cells = _cells([run for run in runs if _family(run.config["norm"]) not in without], ("norm",))
    rows = []
    for (norm,) in sorted(cells, key=lambda place: _rank("norm")(place[0])):
        of_norm = cells[(norm,)]
        values = {run.results["values_per_statistic"] for run in of_norm} - {None}
        rows.append(
            [
                _name("norm", norm), ", ".join(f"{count:,}" for count in sorted(values, key=str)) or "–",
                *(_write(cell(of_norm, value), value) for value in COLUMNS),
            ]
        )  # fmt: skip
    return Grid(title, ["norm", "values per statistic", *(TITLES[value] for value in COLUMNS)], rows)


def _by_setting(settings: Sequence[Setting]) -> Grid:
    return Grid(
        "",
        ["setting", *(TITLES[value] for value in COLUMNS)],
        [
            [_label(differs, runs), *(_write(cell(runs, value), value) for value in COLUMNS)]
            for differs, runs in settings
        ],
    )


def _speeds(settings: Sequence[Setting], targets: Sequence[float] = (0.93, 0.94)) -> Grid:
    """Rank by time; the accuracies to two places, since that is what the records are about."""
    rows = []
    for differs, runs in sorted(settings, key=lambda setting: min(run.seconds for run in setting.records)):
        accuracies = [run.results["test_accuracy"] for run in runs if run.outcome == "finished"]
        reached = [f"{sum(accuracy >= target for accuracy in accuracies)} of {len(runs)}" for target in targets]
        told = [_write(cell(runs, "test_accuracy"), "test_accuracy", 2), _write(cell(runs, "seconds"), "seconds", 2)]
        rows.append([_label(differs, runs), *told, *reached])
    head = ["setting", TITLES["test_accuracy"], TITLES["seconds"], *(f"≥ {100 * target:g} %" for target in targets)]
    return Grid("", head, rows)


def _tuned(records: Sequence[Record]) -> list[Grid]:
    """Where several learning rates were tried, keep the one with the best mean held-out accuracy."""
    grids = []
    for _, runs in separate(records, ("norm", "batch_size", "lr")):
        tried: dict[tuple[Scalar, ...], dict[Scalar, list[Record]]] = {}
        for (norm, batch_size, rate), of_rate in _cells(runs, ("norm", "batch_size", "lr")).items():
            tried.setdefault((norm, batch_size), {})[rate] = of_rate
        rows = []
        for place in sorted(tried, key=lambda place: (_rank("norm")(place[0]), place[1])):
            means = {
                rate: found.mean
                for rate, of_rate in tried[place].items()
                if (found := cell(of_rate).summary) is not None
            }
            if len(tried[place]) < 2 or not means:
                continue
            best = max(means, key=lambda rate: means[rate])
            told = [_write(cell(tried[place][best], value), value) for value in ("held_out_accuracy", "test_accuracy")]
            rows.append(
                [_name("norm", place[0]), _name("batch_size", place[1]), f"{best:g}", str(len(tried[place])), *told]
            )
        head = [
            "norm",
            "batch size",
            "learning rate",
            "rates tried",
            TITLES["held_out_accuracy"],
            TITLES["test_accuracy"],
        ]
        if rows:
            grids.append(Grid("chosen by held-out accuracy", head, rows))
    return grids


# ------------------------------------------------------------------------------------------------------------- writing


def as_text(grid: Grid) -> str:
    """Set a table in columns for a monospaced font, numbers to the right."""
    widths = [max(len(line[column]) for line in (grid.head, *grid.rows)) for column in range(len(grid.head))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in rest)]).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([*([grid.title] if grid.title else []), line(grid.head), rule, *(line(row) for row in grid.rows)])


def as_markdown(grid: Grid, numbers: bool = True) -> str:
    """Set a table in Markdown, its title above it; what is not in the first column stands right if it is numbers."""
    lines = [grid.head, ["---", *["--:" if numbers else "---"] * (len(grid.head) - 1)], *grid.rows]
    body = "\n".join(f"| {' | '.join(text.replace('|', chr(92) + '|') for text in line)} |" for line in lines)
    return f"{grid.title[:1].upper()}{grid.title[1:]}:\n\n{body}" if grid.title else body


def _write(found: Cell, value: str, places: int | None = None) -> str:
    """Write a cell: "71.3 ± 1.2 (3)", "71.3 (one run)", "diverged (3)", or a dash where nothing was run."""
    scale = 100 if value.endswith("accuracy") else 1
    places = places if places is not None else 3 if value.endswith("loss") else 1
    if found.summary is None:
        return f"diverged ({found.diverged})" if found.diverged else "–"
    mean, _, half_width, n = found.summary
    if half_width is None:
        text = f"{scale * mean:.{places}f} (one run)"
    else:
        text = f"{scale * mean:.{places}f} ± {scale * half_width:.{places}f} ({n})"
    return text + (f", {found.diverged} diverged" if found.diverged else "")


def _label(differs: Mapping[str, Scalar], runs: Sequence[Record]) -> str:
    rest = describe({name: value for name, value in differs.items() if name != "norm"})
    return norm_name(str(runs[0].config["norm"])) + (f"; {rest}" if rest else "")


def _name(field: str, value: Scalar) -> str:
    return norm_name(str(value)) if field == "norm" else f"{value:,}" if isinstance(value, int) else str(value)


def _rank(field: str) -> Any:
    """Return a sorting key: norms in the order of the book, then by their number; numbers before words."""

    def rank(value: Scalar) -> tuple[Any, ...]:
        if field == "norm":
            families = list(NORMS)
            family, _, number = str(value).partition(":")
            place = families.index(family) if family in families else len(families)
            return place, int(number) if number.isdigit() else 0, str(value)
        return (0, value, "") if isinstance(value, int | float) else (1, 0, str(value))

    return rank


def _cells(runs: Iterable[Record], fields: Sequence[str]) -> dict[tuple[Scalar, ...], list[Record]]:
    found: dict[tuple[Scalar, ...], list[Record]] = {}
    for run in runs:
        found.setdefault(tuple(run.config.get(field) for field in fields), []).append(run)
    return found


def _separated(records: Iterable[Record], axes: Sequence[str]) -> list[Setting]:
    settings = separate(records, axes)
    if not settings:
        raise ValueError("there are no records to report")
    return settings


def _commit(run: Record) -> str:
    return Provenance(run.commit, run.changed).short + "+" * run.changed


def _family(norm: Scalar) -> str:
    return str(norm).partition(":")[0]


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
