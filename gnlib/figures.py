"""Draws records: accuracy by batch size, by values per statistic, by groups, by time, and curves by epoch.

Every function draws into axes that it is given. A norm has the same colour and marker in all of them, and differs from
the others in more than colour. Words and lines that are not data keep matplotlib's own colours, so that a reader's dark
style holds; no background is set. Knows records, and nothing of how they came about.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from gnlib.records import Cell, Record, cell, describe, norm_name, one_setting, separate

History = Sequence[Mapping[str, float | None]]  # one dict an epoch
AXES_LABELS = {
    "held_out_accuracy": "held-out accuracy (%)",
    "test_accuracy": "test accuracy (%)",
    "held_out_loss": "held-out loss (nats)",
    "test_loss": "test loss (nats)",
    "train_loss": "training loss (nats)",
}


class Style(NamedTuple):
    """How a norm is drawn."""

    color: str
    marker: str
    linestyle: Any


# colours by Okabe & Ito, which the colour-blind tell apart; of the eight, those with contrast on white and on black
STYLES = {
    "batch": Style("#0072B2", "o", "-"),
    "ghost": Style("#0072B2", "P", (0, (3, 1, 1, 1))),  # BatchNorm's colour: it is BatchNorm over fewer images
    "group": Style("#D55E00", "s", "--"),
    "groups-of": Style("#D55E00", "s", "--"),
    "layer": Style("#009E73", "^", "-."),
    "instance": Style("#CC79A7", "D", ":"),
    "none": Style("#7F7F7F", "v", (0, (1, 1))),
}
OTHERS = ("#7F7F7F", "#56B4E9", "#E69F00", "#CC79A7")  # for runs whose name names no norm
SIDESTEP = 3.5  # points by which series stand beside each other, so that their intervals can be seen
GENTLE: dict[str, Any] = {"color": "0.5", "linewidth": 0.8, "alpha": 0.35}


def style(norm: str, nth: int = 0) -> dict[str, Any]:
    """Return the keywords with which matplotlib draws a norm.

    Args:
        norm: as in a config, such as "group:8"; the number behind the colon changes nothing.
        nth: how many of the same kind the figure has already; they differ in their markers' filling.
    """
    family = norm.partition(":")[0]
    color, marker, linestyle = STYLES.get(family) or Style(OTHERS[nth % len(OTHERS)], "Xph*"[nth % 4], "-")
    filling = (color, "none", color, "none")[nth % 4] if family in STYLES else color
    size = 8 if nth % 4 == 2 else 6
    return {"color": color, "marker": marker, "linestyle": linestyle, "markerfacecolor": filling, "markersize": size}


def accuracy_by_batch_size(records: Iterable[Record], ax: Axes, value: str = "held_out_accuracy") -> None:
    """Draw one line a norm, its mean and 95 % interval over the batch size; small batches stand on the right.

    Args:
        records: of one setting: they differ in norm, batch size and seed only.
        ax: drawn into.
        value: a field of the results.
    Raises:
        ValueError: there are no records, or they differ in more.
    """
    runs = one_setting(records, ("norm", "batch_size"), "a figure")
    points = _points(runs, lambda run: str(run.config["norm"]), lambda run: float(str(run.config["batch_size"])), value)
    _lines(ax, points, value, norm_name)
    ax.set_xlabel("batch size (images a step)")
    _powers(ax, points)
    ax.xaxis.set_inverted(True)  # as the paper's table and figure run
    _legend(ax, points)


def accuracy_by_values(
    records: Iterable[Record],
    ax: Axes,
    values: Callable[[Record], float] | None = None,
    value: str = "held_out_accuracy",
) -> None:
    """Draw one line a kind of norm, its mean and 95 % interval over the values behind each of its statistics.

    How noisy a statistic is depends on the values that it is taken over: images × positions for BatchNorm, channels of
    a group × positions for GroupNorm. So this axis holds all norms at once.

    Args:
        records: of one setting: they differ in norm, batch size and seed only.
        ax: drawn into.
        values: gives the values per statistic of a run; ``results["values_per_statistic"]`` by default.
        value: a field of the results.
    Raises:
        ValueError: there are no records, they differ in more, or one has no values per statistic.
    """

    def given(run: Record) -> float:
        count = run.results["values_per_statistic"]
        if count is None:
            raise ValueError(
                f"a run must have values_per_statistic: that with norm={run.config['norm']} has null; "
                "or pass values=, a function of the record"
            )
        return float(count)

    def family(run: Record) -> str:
        first = str(run.config["norm"]).partition(":")[0]
        return "group" if first == "groups-of" else first

    runs = [run for run in one_setting(records, ("norm", "batch_size"), "a figure") if run.config["norm"] != "none"]
    points = _points(runs, family, values or given, value)
    _lines(ax, points, value, FAMILIES.get)
    ax.set_xlabel("values per statistic")
    _powers(ax, points)
    _legend(ax, points)


def each_run_by_values(records: Iterable[Record], ax: Axes, value: str = "test_accuracy", *, hollow: str = "") -> None:
    """Draw a marker for every run, over the values behind the statistics of its network's last norm.

    Args:
        records: of any settings; each has values per statistic.
        ax: drawn into.
        value: a field of the results, a share.
        hollow: runs of this model have hollow markers.
    """
    places = set()
    for run in records:
        place = int(run.results["values_per_statistic"])
        look: dict[str, Any] = style(str(run.config["norm"])) | {"linestyle": "none", "alpha": 0.7}
        if run.config["model"] == hollow:
            look["markerfacecolor"] = "none"
        family = str(run.config["norm"]).partition(":")[0]
        ax.plot(place, 100 * run.results[value], label=FAMILIES.get(family, "GroupNorm"), **look)
        places.add(place)
    _bare(ax, value)
    ax.set(xscale="log", xticks=sorted(places), xticklabels=map(str, sorted(places)), ylim=(0, 103))
    ax.minorticks_off()
    ax.set_xlabel("values per statistic, last norm")
    handles, labels = ax.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    ax.legend(once.values(), once.keys(), frameon=False, loc="lower right")


FAMILIES = {
    "batch": "BatchNorm",
    "ghost": "ghost BatchNorm",
    "group": "GroupNorm",
    "layer": "LayerNorm",
    "instance": "InstanceNorm",
}


def accuracy_by_groups(records: Iterable[Record], axes: Sequence[Axes], value: str = "held_out_accuracy") -> None:
    """Draw GroupNorm by its number of groups, and by the channels in each: the two halves of the paper's table.

    Right means more groups in both. LayerNorm stands where there is one group, InstanceNorm where a group is one
    channel, and BatchNorm is a level to compare with.

    Args:
        records: of one setting: they differ in norm and seed only.
        axes: two, for the number of groups and for the channels a group.
        value: a field of the results.
    Raises:
        ValueError: there are no records, or they differ in more.
    """
    runs = one_setting(records, ("norm",), "a figure")
    by_norm: dict[str, list[Record]] = {}
    for run in runs:
        by_norm.setdefault(str(run.config["norm"]), []).append(run)
    cells = {norm: cell(of_norm, value) for norm, of_norm in by_norm.items()}
    halves = (("group", "layer", "groups"), ("groups-of", "instance", "channels a group"))
    drawn: dict[str, list[tuple[float, Cell]]] = {}  # in either half, for the legend
    for ax, (family, end, label) in zip(axes, halves, strict=True):
        points: dict[str, list[tuple[float, Cell]]] = {}
        for norm, found in cells.items():
            if norm.startswith(f"{family}:"):
                points.setdefault(family, []).append((float(norm.partition(":")[2]), found))
                points[family].sort(key=lambda point: point[0])
            elif norm == end:
                points[norm] = [(1.0, found)]
        _lines(ax, points, value, {**FAMILIES, "groups-of": "GroupNorm"}.get, sidestep=0)
        ax.set_xlabel(label)
        _powers(ax, points)
        level = cells.get("batch", Cell(None, 0)).summary
        if level is not None:
            scale = 100 if value.endswith("accuracy") else 1
            ax.axhline(level.mean * scale, color=STYLES["batch"].color, linewidth=1.2, label="BatchNorm", zorder=1)
            if level.half_width is not None:
                low, high = level.mean - level.half_width, level.mean + level.half_width
                ax.axhspan(low * scale, high * scale, color=STYLES["batch"].color, alpha=0.12, linewidth=0, zorder=0)
        drawn |= points
    axes[1].xaxis.set_inverted(True)
    low = min(ax.get_ylim()[0] for ax in axes)
    high = max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(low, high)
    axes[1].set_ylabel("")
    axes[1].tick_params(labelleft=False)
    handles = {handle.get_label(): handle for ax in axes for handle in _handles(ax)}
    _legend(axes[1], drawn, list(handles.values()))


def curves(histories: Mapping[str, History], axes: Sequence[Axes]) -> None:
    """Draw held-out accuracy and training loss by epoch, one line a run.

    May be called again with the same axes as a run goes on: they are emptied first.

    Args:
        histories: of each run, by a name to show; a name that begins with a norm ("group:8, seed 1") has its colour.
        axes: two, for the accuracy and for the loss.
    """
    by_name = {name: list(history) for name, history in histories.items()}
    kinds = [re.split(r"[ ,]", name, maxsplit=1)[0] for name in by_name]
    for ax, field in zip(axes, ("held_out_accuracy", "train_loss"), strict=True):
        ax.clear()
        _bare(ax, field)
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        for position, (name, history) in enumerate(by_name.items()):
            families = [_family(kind) for kind in kinds[:position]]
            nth = families.count(_family(kinds[position]))
            epochs = [_number(row.get("epoch")) for row in history]
            numbers = [_number(row.get(field)) * (100 if field.endswith("accuracy") else 1) for row in history]
            ax.plot(
                epochs,
                numbers,
                label=name,
                linewidth=1.6,
                markevery=max(1, len(epochs) // 8),
                **style(kinds[position], nth),
            )
            if history and not math.isfinite(_number(history[-1].get("train_loss"))):
                _cross(ax, epochs[-1], style(kinds[position], nth)["color"])
    if len(by_name) > 1 or any(_lost(history) for history in by_name.values()):
        axes[0].legend(handles=_handles(axes[0]), frameon=False, loc="best")


def time_to_accuracy(records: Iterable[Record], ax: Axes, targets: Sequence[float] = (0.93, 0.94)) -> None:
    """Draw test accuracy over training time: each run small, the mean of a setting large with its 95 % intervals.

    Where a run's history has held-out accuracies, a thin line shows how it got there.

    Args:
        records: of any settings; those that differ in more than the seed are drawn apart.
        ax: drawn into.
        targets: accuracies to mark, as fractions.
    Raises:
        ValueError: there are no records.
    """
    settings = separate(records, ())
    if not settings:
        raise ValueError("there are no records to draw")
    seen: list[str] = []
    lowest = min(targets, default=1.0)
    for differs, runs in settings:
        norm = str(runs[0].config["norm"])
        look = style(norm, seen.count(_family(norm)))
        seen.append(_family(norm))
        rest = describe({name: value for name, value in differs.items() if name != "norm"})
        label = norm_name(norm) + (f"\n{rest}" if rest else "")  # a second line: beside the axes there is little room
        finished = [run for run in runs if run.outcome == "finished"]
        for run in finished:
            history = [row for row in run.results["history"] if row.get("held_out_accuracy") is not None]
            if all(row.get("seconds") is not None for row in history):
                x = [row["seconds"] for row in history]
                y = [100 * row["held_out_accuracy"] for row in history]
                ax.plot(x, y, color=look["color"], linestyle=look["linestyle"], linewidth=0.9, alpha=0.4, zorder=1)
            lowest = min(lowest, run.results["test_accuracy"])
        ax.plot(
            [run.seconds for run in finished], [100 * run.results["test_accuracy"] for run in finished],
            color=look["color"], marker=look["marker"], markersize=4, alpha=0.4, linestyle="none", zorder=2,
        )  # fmt: skip
        time, accuracy = cell(runs, "seconds").summary, cell(runs, "test_accuracy").summary
        if time is not None and accuracy is not None:
            ax.errorbar(
                [time.mean], [100 * accuracy.mean], xerr=[time.half_width or math.nan],
                yerr=[100 * (accuracy.half_width or math.nan)],
                label=f"{label}, {_runs(time.n)}", capsize=2.5, elinewidth=1.2, zorder=3,
                **{**look, "linestyle": "none", "markersize": 8},
            )  # fmt: skip
        if len(finished) < len(runs):
            for run in runs:
                if run.outcome == "diverged":
                    _cross(ax, run.seconds, look["color"])
    _bare(ax, "test_accuracy")
    for target in targets:
        ax.axhline(100 * target, zorder=0, **{**GENTLE, "alpha": 0.9, "linestyle": (0, (4, 3))})
        ax.annotate(
            f"{100 * target:g} %", (0, 100 * target), xycoords=("axes fraction", "data"), xytext=(3, 2),
            textcoords="offset points", va="bottom", fontsize="small", alpha=0.8,
        )  # fmt: skip
    ax.set_xlabel("training time (s)")
    ax.set_xlim(left=0)
    ax.set_ylim(bottom=100 * lowest - 3)
    ax.legend(handles=_handles(ax), frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


SIZES = {
    "N": "samples N",
    "C": "channels C",
    "S": "positions S",
    "G": "groups G",
}


def time_by_size(records: Iterable[Record], axes: Sequence[Axes]) -> None:
    """Draw the time of a layer's forward and backward over each of the sizes that it grows with, both by powers.

    The plain grey line is what memory allows: eight passes over the input at the speed at which it is copied.

    Args:
        records: of the benchmark of growth, config.axis naming the size that varies; the quartiles are drawn as bars.
        axes: drawn into, one for each of N, C, S and G.
    Raises:
        ValueError: there is no record.
    """
    found = list(records)
    if not found:
        raise ValueError("there must be records to draw: got none; python -m benchmarks cpu-growth makes them")
    for ax, (axis, label) in zip(axes, SIZES.items(), strict=True):
        runs = sorted((run for run in found if run.config["axis"] == axis), key=lambda run: float(run.config[axis]))  # type: ignore[arg-type]
        names = [name for name in STYLES if any(f"{name}_us" in run.results for run in runs)]
        for name in [*names, *(f"torch_{name}" for name in names)]:
            there = [run for run in runs if f"{name}_us" in run.results]
            own = name in names
            times = [run.results[f"{name}_us"] / 1000 for run in there]
            low = [run.results[f"{name}_low_us"] / 1000 for run in there]
            high = [run.results[f"{name}_high_us"] / 1000 for run in there]
            if there:
                kind = name.removeprefix("torch_")
                said = norm_name(kind).partition(",")[0]
                look = style(kind) if own else {"color": STYLES[kind].color, "linestyle": (0, (1, 2)), "alpha": 0.8}
                ax.errorbar(
                    [float(run.config[axis]) for run in there], times,  # type: ignore[arg-type]
                    yerr=[
                        [time - least for time, least in zip(times, low, strict=True)],
                        [most - time for time, most in zip(times, high, strict=True)],
                    ],
                    label=said if own else f"torch.nn's {said}",
                    capsize=2, elinewidth=1, linewidth=1.5, **{"markersize": 5, **look},
                )  # fmt: skip
        ax.plot(
            [float(run.config[axis]) for run in runs],  # type: ignore[arg-type]
            [8 * run.results["input_bytes"] / run.results["copy_GB_per_s"] / 1e6 for run in runs],
            color="0.5", linewidth=1.2, linestyle="-", zorder=0, label="what memory allows",
        )  # fmt: skip
        ax.set_xscale("log", base=4)
        ax.set_yscale("log")
        ax.xaxis.set_major_formatter(lambda x, position: f"{x:,.0f}")
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", **GENTLE)
        ax.set_axisbelow(True)
        ax.set_xlabel(label)
        ax.set_ylabel("forward and backward (ms)")
    first = axes[0]
    first.figure.legend(handles=_handles(first), frameon=False, loc="outside lower center", ncols=4)


# ---------------------------------------------------------------------------------------------------------- the parts


Points = Mapping[str, Sequence[tuple[float, Cell]]]  # of each series: x and what the runs there say, by ascending x


def _points(
    runs: Iterable[Record], series: Callable[[Record], str], place: Callable[[Record], float], value: str
) -> Points:
    """Sum up runs that differ only in their seed, by series; those of two batch sizes are never put together."""
    found: dict[str, dict[tuple[float, str, int], list[Record]]] = {}
    for run in runs:
        alike = (place(run), str(run.config["norm"]), int(str(run.config["batch_size"])))
        found.setdefault(series(run), {}).setdefault(alike, []).append(run)
    return {name: [(key[0], cell(cells[key], value)) for key in sorted(cells)] for name, cells in found.items()}


def _lines(
    ax: Axes,
    points: Points,
    value: str,
    name_of: Callable[[str], str | None],
    sidestep: float = SIDESTEP,
) -> None:
    """Draw every series with its intervals, and a cross on the floor for every place where runs diverged."""
    scale = 100 if value.endswith("accuracy") else 1
    order = [*STYLES]
    ranked = sorted(
        points, key=lambda norm: (order.index(_family(norm)) if _family(norm) in order else len(order), norm)
    )
    families = [_family(norm) for norm in ranked]
    for position, norm in enumerate(ranked):
        look = style(norm, families[:position].count(families[position]))
        aside = (position - (len(ranked) - 1) / 2) * sidestep / 72  # inches
        there = [(x, found.summary) for x, found in points[norm] if found.summary is not None]
        if there:
            if len({x for x, _ in there}) < len(there):  # a line is for what x alone tells apart
                look["linestyle"] = "none"
            widths = [math.nan if summary.half_width is None else summary.half_width for _, summary in there]
            bars = ax.errorbar(
                [x for x, _ in there], [scale * summary.mean for _, summary in there],
                yerr=[scale * width for width in widths], label=name_of(norm) or norm,
                capsize=2.5, elinewidth=1.2, linewidth=1.6, **look,
            )  # fmt: skip
            for artist in bars.get_children():  # only now, and on paper: the data and the axes' limits stay as they are
                artist.set_transform(ax.transData + ScaledTranslation(aside, 0, ax.figure.dpi_scale_trans))
        for x, found in points[norm]:
            if found.diverged:
                _cross(ax, x, look["color"], aside)
    _bare(ax, value)


def _cross(ax: Axes, x: float, color: str, aside: float = 0.0) -> None:
    """Mark runs that diverged: a cross on the floor of the axes, since they have no height."""
    floor = ax.get_xaxis_transform() + ScaledTranslation(aside, 6 / 72, ax.figure.dpi_scale_trans)
    (cross,) = ax.plot(
        [x], [0], color=color, marker="x", markersize=7, markeredgewidth=2, transform=floor, clip_on=False
    )
    cross.set_gid("diverged")


def _bare(ax: Axes, value: str) -> None:
    """Leave of the frame what is read."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", **GENTLE)
    ax.set_axisbelow(True)
    ax.set_ylabel(AXES_LABELS[value])


def _powers(ax: Axes, points: Points) -> None:
    """Scale the x axis by powers of two, with a tick at every place that has a point."""
    places = sorted({x for of_series in points.values() for x, _ in of_series})
    ax.set_xscale("log", base=2)
    far_apart = places[:1]
    for place in places[1:]:
        if place >= far_apart[-1] * 1.4:  # labels nearer than half an octave would touch
            far_apart.append(place)
    ax.xaxis.set_major_locator(FixedLocator(far_apart))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda x, position: f"{x:,.0f}")


def _handles(ax: Axes) -> list[Any]:
    """Return what the legend lists: the series, and a neutral cross if anything diverged."""
    handles, _ = ax.get_legend_handles_labels()
    if any(line.get_gid() == "diverged" for line in ax.lines):
        handles.append(Line2D([], [], color="0.5", marker="x", markeredgewidth=2, linestyle="none", label="diverged"))
    return handles


def _legend(ax: Axes, points: Points, handles: list[Any] | None = None) -> None:
    """List the series beside the axes, in the order in which they end on the right, and say what the bars are."""
    counts = {found.summary.n for of_series in points.values() for _, found in of_series if found.summary}
    told = _handles(ax) if handles is None else handles
    if handles is None:
        leftwards = ax.xaxis.get_inverted()

        def height(handle: Any) -> float:
            line = handle.lines[0] if hasattr(handle, "lines") else handle
            x, y = line.get_xdata(), line.get_ydata()
            return float(y[0 if leftwards else -1]) if len(x) else -math.inf

        told = sorted(told, key=height, reverse=True)
    title = "one run each" if counts == {1} else f"mean of {_range(counts)} runs,\n95 % interval"
    legend = ax.legend(
        handles=told, title=title if counts else None, frameon=False, loc="upper left", bbox_to_anchor=(1, 1),
        alignment="left", handlelength=2.8,
    )  # fmt: skip
    legend.get_title().set_fontsize("small")


def _range(counts: Iterable[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _runs(count: int) -> str:
    return "one run" if count == 1 else f"{count} runs"


def _family(norm: str) -> str:
    """Norms that are drawn alike are of one family; all that are no norms are one, too."""
    first = norm.partition(":")[0]
    return "group" if first == "groups-of" else first if first in STYLES else ""


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _lost(history: History) -> bool:
    return bool(history) and not math.isfinite(_number(history[-1].get("train_loss")))
