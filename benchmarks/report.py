"""Tells in tables what the benchmarks' records say; measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gnlib.records import Record

LARGE = 8_000_000  # bytes of the inputs that the budgets speak of

BUDGETS = {
    ("GroupNorm", "NCHW"): 1.05,
    ("BatchNorm", "NCHW"): 0.95,
    ("InstanceNorm", "NCHW"): 0.55,
    ("LayerNorm", "NCHW"): 1.0,
    ("LayerNorm by channel", "NCHW"): 0.8,
    ("GroupNorm", "channels_last"): 1.05,
    ("BatchNorm", "channels_last"): 1.05,
    ("InstanceNorm", "channels_last"): 1.0,
    ("LayerNorm", "channels_last"): 1.1,
    ("LayerNorm by channel", "channels_last"): 0.4,
}
"""At most so many times torch.nn's forward and backward, in float32 on a CPU."""

NAMES = {"naive": "written out", "one_pass": "one pass"}


class Verdict(NamedTuple):
    """How gnlib stands against torch.nn in one case."""

    ratio: float  # above 1: takes longer
    noise: float  # share by which the ratio of two that are alike strays from 1

    @property
    def slower(self) -> bool:
        """Whether it takes longer, by more than the noise."""
        return self.ratio > 1 + self.noise

    def __str__(self) -> str:
        return f"{self.ratio:.2f} ±{self.noise:.2f}{'!' if self.slower else ' '}"


def verdict(record: Record) -> Verdict:
    return Verdict(record.results["gnlib_to_torch_ratio"], record.results["noise_ratio"])


def layers(found: Sequence[Record]) -> str:
    """Tell every case: the ratio to torch.nn with its noise floor, the times, and the bandwidth."""
    rows = [["layer", "mode", "shape", "layout", "dtype", "to torch", "µs", "torch", *NAMES.values(), "copy", "GB/s"]]
    for record in found:
        config, results = record.config, record.results
        shape = "×".join(str(config[axis]) for axis in "NCHW")
        far = ", far" if config["mean"] else ""
        times = [_time(results.get(f"{name}_us")) for name in ("gnlib", "torch", *NAMES, "copy")]
        row = [str(config[name]) for name in ("layer", "mode")] + [shape, f"{config['layout']}{far}"]
        rows.append([*row, str(config["dtype"]), str(verdict(record)), *times, _rate(record)])
    return _table(rows)


def compiled(found: Sequence[Record]) -> str:
    """Tell the cases in which those competed who are compiled."""
    rows = [["layer", "layout", "compiled to compiled", "µs", "compiled torch", "not compiled"]]
    for record in found:
        results = record.results
        if "compiled_gnlib_us" in results:
            one = f"{results['compiled_gnlib_to_compiled_torch_ratio']:.2f} ±{results['noise_ratio']:.2f}"
            times = [_time(results[f"{name}_us"]) for name in ("compiled_gnlib", "compiled_torch", "gnlib")]
            rows.append([str(record.config["layer"]), str(record.config["layout"]), one, *times])
    return _table(rows)


def budgets(found: Sequence[Record]) -> str:
    """Tell where the layers stand against the budgets: the worst of the large cases."""
    rows = [["layer", "layout", "budget", "worst", "noise there", ""]]
    for (layer, layout), most in BUDGETS.items():
        verdicts = [
            verdict(record)
            for record in found
            if (record.config["layer"], record.config["layout"]) == (layer, layout)
            and (record.config["dtype"], record.config["mode"], record.config["mean"]) == ("float32", "training", 0)
            and record.results["input_bytes"] >= LARGE
        ]
        if verdicts:
            worst = max(verdicts)
            kept = (
                "kept" if worst.ratio <= most else "within the noise" if worst.ratio <= most + worst.noise else "over"
            )
            rows.append([layer, layout, f"{most:.2f}", f"{worst.ratio:.2f}", f"{worst.noise:.2f}", kept])
    return _table(rows)


def steps(found: Sequence[Record]) -> str:
    """Tell a whole training step by norm: milliseconds, and what the norm adds to the step without one."""
    rows = [["norm", "layout", "gnlib ms", "by the core", "torch.nn", "to torch", "without norm", "the norm's share"]]
    for record in found:
        results = record.results
        own, bare = results["gnlib_us"], results["bare_us"]
        theirs = f"{results['torch_us'] / 1e3:.1f}" if "torch_us" in results else "-"
        ratio = str(verdict(record)) if "torch_us" in results else "-"
        core = f"{results['reference_us'] / 1e3:.1f}" if "reference_us" in results else "-"
        row = [str(record.config["norm"]), str(record.config["layout"]), f"{own / 1e3:.1f}", core, theirs, ratio]
        rows.append([*row, f"{bare / 1e3:.1f}", f"{max(0.0, 1 - bare / own):.0%}"])
    return _table(rows)


def growth(found: Sequence[Record]) -> str:
    """Tell the times along every axis."""
    names = ("batch", "torch_batch", "layer", "instance", "group", "torch_group", "copy")
    rows = [["axis", "at", "MB", *(f"{name} µs" for name in names)]]
    for record in found:
        axis = str(record.config["axis"])
        times = [_time(record.results.get(f"{name}_us")) for name in names]
        rows.append([axis, str(record.config[axis]), f"{record.results['input_bytes'] / 1e6:.3f}", *times])
    return _table(rows)


def whereabouts(found: Sequence[Record]) -> str:
    """Name the machine, the code and the load, of all records together."""
    machines = sorted({f"{record.machine['device']}, torch {record.machine['torch']}" for record in found})
    commits = sorted({record.commit[:7] + ("+changed" if record.changed else "") for record in found})
    loads = [record.results["load_per_core_ratio"] for record in found]
    return (
        f"{'; '.join(machines)}; commit {', '.join(commits)}; "
        f"processes that wanted a core, for each: {min(loads):.1f} to {max(loads):.1f}"
    )


def _time(us: float | None) -> str:
    return "-" if us is None else f"{us:,.0f}"


def _rate(record: Record) -> str:
    """Return GB/s of the fewest passes over the input: measure and apply, 3, and backward, where dy comes along, 5."""
    passed = (8 if record.config["mode"] == "training" else 3) * record.results["input_bytes"]
    return f"{passed / record.results['gnlib_us'] / 1e3:.1f}"


def _table(rows: list[list[str]]) -> str:
    """Set rows in columns; the first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
