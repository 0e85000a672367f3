"""The benchmarks measure what they say: who is slower comes out slower, and a wrong result is not timed at all."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import nn

import gnlib
from benchmarks import __main__ as command
from benchmarks import contestants, growth, harness, layers, report, step
from gnlib import figures, records
from gnlib.cifar.models import ResNet8
from gnlib.cifar.norms import norm_of

TINY = layers.Case("BatchNorm", 4, 32, 3, 5, "NCHW", "float32", "training")


class Machine:
    """A clock that moves when a contestant is called, and by drift."""

    def __init__(self, drift=0.0):
        self.now, self.drift, self.order = 0.0, drift, []

    def contestant(self, name, seconds):
        def call(number):
            self.order.append((name, number))
            self.now += seconds * (1 + self.drift * len(self.order))

        return call


def timed(machine, costs, rounds=5, least=0.0):
    calls = {name: machine.contestant(name, cost) for name, cost in costs.items()}
    return harness.measure(calls, rounds=rounds, least=least, clock=lambda: machine.now)


# ---- the harness -----------------------------------------------------------------------------------------------------


def test_a_time_is_that_of_one_call_however_many_it_took():
    times = timed(Machine(), {"quick": 0.001, "slow": 0.5}, least=0.1)
    assert times["quick"] == pytest.approx([0.001] * 5)
    assert times["slow"] == pytest.approx([0.5] * 5)


def test_a_quick_contestant_is_called_until_the_least_time_is_filled():
    machine = Machine()
    timed(machine, {"quick": 0.001, "slow": 0.5}, rounds=1, least=0.1)
    called = [name for name, _ in machine.order]
    warm = 3
    assert called.count("quick") - warm == pytest.approx(100, abs=1)
    assert called.count("slow") - warm == 1


def test_all_compete_in_every_round_in_an_order_that_changes():
    machine = Machine()
    names = "abc"
    timed(machine, dict.fromkeys(names, 1.0), rounds=12)
    rounds = list(itertools.batched((name for name, _ in machine.order[9:]), 3)) if hasattr(itertools, "batched") else [
        tuple(name for name, _ in machine.order[k : k + 3]) for k in range(9, 45, 3)
    ]  # fmt: skip
    assert all(sorted(each) == list(names) for each in rounds)
    assert len(set(rounds)) > 3


def test_every_call_gets_the_next_input():
    machine = Machine()
    timed(machine, {"a": 1.0, "b": 1.0}, rounds=3)
    assert [number for _, number in machine.order] == list(range(len(machine.order)))


def test_a_ratio_within_a_round_stands_where_the_machine_slows_down():
    times = timed(Machine(drift=0.05), {"one": 2.0, "other": 1.0}, rounds=40)
    assert max(times["one"]) > 2 * min(times["one"])
    assert harness.ratio(times, "one", "other").median == pytest.approx(2, rel=0.05)


def test_what_waits_for_the_device_counts():
    machine = Machine()

    def synchronize():
        machine.now += 1.0

    calls = {"a": machine.contestant("a", 1.0)}
    times = harness.measure(calls, rounds=2, least=0, clock=lambda: machine.now, synchronize=synchronize)
    assert times["a"] == [2.0, 2.0]


def test_the_noise_floor_is_how_far_alike_ones_stray():
    times = {"torch": [1.0, 1.0, 1.0, 1.0], "torch_again": [1.0, 1.25, 1.25, 1.0]}
    assert harness.noise(times, "torch", "torch_again") == pytest.approx(0.25)
    assert harness.noise(times, "torch_again", "torch") == pytest.approx(0.25)
    assert harness.noise({"torch": [1.0], "torch_again": [1.0]}, "torch", "torch_again") == 0


def test_the_spread_is_the_middle_half():
    assert harness.spread([5.0, 1.0, 3.0, 2.0, 4.0]) == (3.0, 2.0, 4.0)
    assert harness.spread([7.0]) == (7.0, 7.0, 7.0)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_inputs_are_together_larger_than_a_cache_and_keep_their_layout(layout):
    x = torch.randn(4, 8, 32, 32).contiguous(memory_format=layout).requires_grad_()
    inputs = harness.rotated(x)
    assert sum(each.numel() * 4 for each in inputs) >= harness.CACHE
    assert len({each.data_ptr() for each in inputs}) == len(inputs)
    for each in inputs[-1], inputs[1]:
        assert torch.equal(each, x)
        assert each.stride() == x.stride()
        assert each.is_leaf
        assert each.requires_grad
    assert len(harness.rotated(torch.empty(harness.CACHE))) == 2


def test_a_result_that_strays_or_was_not_written_is_refused():
    exact = torch.linspace(-2, 2, 9, dtype=torch.float64)
    harness.check("right", [exact.float()], [exact], 1e-6)
    for wrong in (exact + 1e-3, exact * math.nan):
        with pytest.raises(harness.WrongResultError, match="result 1 of wrong must be exact to 2e-06"):
            harness.check("wrong", [exact, wrong], [exact, exact], 1e-6)


def test_memory_that_a_lazy_result_gets_holds_no_earlier_result():
    like = torch.ones(1 << 14)
    for _ in range(3):
        harness.poison(like)
        assert not torch.equal(torch.empty_like(like), like)


def test_the_process_starts_again_with_an_allocator_that_keeps_its_pages(monkeypatch):
    started = []
    monkeypatch.setattr(harness.os, "execve", lambda program, given, environment: started.append((given, environment)))
    monkeypatch.setattr(harness.platform, "libc_ver", lambda: ("glibc", "2.36"))
    for name in harness.PAGES:
        monkeypatch.delenv(name, raising=False)
    harness.keep_pages("benchmarks", ["--dry"])
    (given, environment), *_ = started
    assert given[1:] == ["-m", "benchmarks", "--dry"]
    for name, value in harness.PAGES.items():
        assert environment[name] == str(value)
        monkeypatch.setenv(name, str(value))
    harness.keep_pages("benchmarks", ["--dry"])
    monkeypatch.delenv(name)
    monkeypatch.setattr(harness.platform, "libc_ver", lambda: ("", ""))
    harness.keep_pages("benchmarks", ["--dry"])
    assert len(started) == 1


# ---- who competes ----------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(harness, "CACHE", 1)


@pytest.mark.parametrize("mode", ["training", "forward", "evaluation"])
@pytest.mark.parametrize("layer", contestants.LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_all_who_compete_in_a_case_compute_its_layer(layer, mode, dtype, quick):
    for layout in layers.LAYOUTS:
        case = replace(TINY, layer=layer, mode=mode, layout=layout, dtype=dtype)
        times = layers.time_case(case, rounds=1, least=0)
        expected = {"gnlib", "torch", "torch_again", "copy"}
        if not (mode == "evaluation" and contestants.LAYERS[layer].running):
            expected |= {"naive"} | ({"one_pass"} if layer != "RMSNorm" else set())
        assert set(times) == expected
        assert all(seconds > 0 for (seconds,) in times.values())


@pytest.mark.parametrize("spoiled", ["output", "gradient"])
@pytest.mark.parametrize("who", ["ours", "theirs"])
def test_who_computes_something_else_is_not_timed(spoiled, who, quick, monkeypatch):
    class Wrong(nn.BatchNorm2d):
        def forward(self, x):
            y = super().forward(x)
            return y + 0.01 if spoiled == "output" else y + 0.01 * (x - x.detach())

    layer = replace(contestants.LAYERS["BatchNorm"], **{who: lambda shape: Wrong(shape[1])})
    monkeypatch.setitem(layers.LAYERS, "BatchNorm", layer)
    name = "gnlib" if who == "ours" else "torch"
    with pytest.raises(harness.WrongResultError, match=f"of {name} in BatchNorm, training, 4×32×3×5, NCHW, float32"):
        layers.time_case(TINY, rounds=1, least=0)


def test_the_cases_are_those_that_the_issue_lists():
    found = list(layers.cases())
    assert len(set(found)) == len(found) == 7 * 2 * 2 * 2 * 4 + 8
    assert {case.shape for case in found} == set(layers.SHAPES)
    assert sum(case.compiled for case in found) == 7 * 2
    assert {case.mean for case in found} == {0.0, 3.0}


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")  # inductor's own
def test_those_who_are_compiled_compete_too(quick):
    torch.compiler.reset()
    times = layers.time_case(replace(TINY, compiled=True), rounds=1, least=0)
    assert {"compiled_gnlib", "compiled_torch"} <= set(times)


# ---- growth and step -------------------------------------------------------------------------------------------------


def test_every_axis_grows_over_four_decades_and_only_it():
    for axis in "NCSG":
        along = [place for place in growth.places() if place.axis == axis]
        sizes = [getattr(place, axis) for place in along]
        assert sizes[-1] / sizes[0] >= 10**4
        assert all(place.C % place.G == 0 for place in along)
        for other in set("NCS") - {axis}:
            assert len({getattr(place, other) for place in along}) == 1


@pytest.mark.parametrize("axis", "NCSG")
def test_a_place_is_timed_with_all_norms_that_it_has(axis, quick):
    place = next(place for place in growth.places() if place.axis == axis and place.bytes > 4 * 32)
    record = growth.measured(replace(place, C=64), rounds=2)
    names = {"group", "torch_group"} | ({"batch", "torch_batch", "layer"} if axis != "G" else set())
    assert {f"{name}_us" for name in names} <= set(record.results)
    assert record.config["axis"] == axis


def test_a_step_is_timed_with_the_norm_of_gnlib_of_torch_and_with_none():
    for norm, theirs in (("batch", True), ("ghost:4", False)):
        record = step.measured(step.Step(norm, "channels_last", batch_size=8, side=8), rounds=1)
        assert {"gnlib_us", "reference_us", "bare_us", "copy_us"} <= set(record.results)
        assert ("gnlib_to_torch_ratio" in record.results) == theirs
        assert record.results["input_bytes"] == 8 * 3 * 8 * 8 * 4


def test_a_profile_tells_the_operators_of_the_core_and_of_the_fused_layers():
    told = step.profiled(step.Step("batch", "NCHW", batch_size=8, side=8), steps=2, rows=100)
    before, after = told.split("batch, NCHW, fused: ")
    assert before.startswith("batch, NCHW, reference: ")
    assert "aten::native_batch_norm_backward" in after
    assert "native_batch_norm" not in before
    norms = int(re.search(r"(\d+) × aten::native_batch_norm\n", after)[1])
    model = ResNet8(norm_of("batch"))
    assert norms == sum(isinstance(module, gnlib.BatchNorm) for module in model.modules())


# ---- records and tables ----------------------------------------------------------------------------------------------


def fake(ratio=1.0, noise=0.02, experiment="cpu-layers", **config):
    """Make a record of a case in which gnlib took ``ratio`` times as long."""
    case = replace(TINY, N=128, C=128, H=16, W=16, **config)
    times = {"gnlib": [ratio] * 8, "torch": [1.0] * 8, "torch_again": [1 + noise] * 8, "copy": [0.1] * 8}
    fields = {name: getattr(case, name) for name in TINY.__dataclass_fields__}
    return layers.record(experiment, fields, times, case.bytes, 1.0, "a machine")


def test_a_record_holds_times_ratios_noise_and_bandwidth():
    results = fake(ratio=0.5, noise=0.25).results
    assert results["gnlib_us"] == 5e5
    assert results["gnlib_to_torch_ratio"] == results["gnlib_to_torch_low_ratio"] == 0.5
    assert results["noise_ratio"] == 0.25
    assert results["input_bytes"] == 128 * 128 * 256 * 4
    assert results["copy_GB_per_s"] == pytest.approx(2 * results["input_bytes"] / 0.1 / 1e9, rel=1e-3)
    assert results["rounds_count"] == 8


def test_a_table_marks_who_is_slower_by_more_than_the_noise():
    rows = report.layers([fake(1.03, noise=0.05), fake(1.03, noise=0.01), fake(0.5, noise=0.3)]).split("\n")[2:]
    assert ["!" in row for row in rows] == [False, True, False]
    assert "1.03 ±0.05" in rows[0]


def test_the_worst_large_case_in_training_is_held_against_the_budget():
    found = [
        fake(0.94), fake(0.97, noise=0.01), fake(0.96, mode="evaluation"), fake(9.0, dtype="bfloat16"),
        fake(9.0, mean=3.0), fake(0.5, layout="channels_last"), fake(0.56, noise=0.02, layer="InstanceNorm"),
        fake(1.05, layer="GroupNorm"),
    ]  # fmt: skip
    small = replace(found[1], results={**found[1].results, "input_bytes": 100, "gnlib_to_torch_ratio": 5.0})
    rows = {tuple(row.split()[:2]): row for row in report.budgets([*found, small]).split("\n")[2:]}
    assert rows["BatchNorm", "NCHW"].split()[2:] == ["0.95", "0.97", "0.01", "over"]
    assert rows["BatchNorm", "channels_last"].endswith("kept")
    assert rows["InstanceNorm", "NCHW"].endswith("within the noise")
    assert rows["GroupNorm", "NCHW"].endswith("kept")


def test_of_a_case_that_was_timed_again_the_last_record_counts():
    one, other, again = fake(1.0), fake(1.0, layer="GroupNorm"), fake(2.0)
    assert records.latest([one, other, again]) == [again, other]


def test_the_command_measures_records_and_tells(tmp_path, capsys, quick, monkeypatch):
    monkeypatch.setattr(harness, "keep_pages", lambda *_: None)
    monkeypatch.setattr(layers, "SHAPES", ((4, 32, 3, 5),))
    small = command.BENCHMARKS["cpu-layers"]._replace(cases=lambda: layers.cases(shapes=[(4, 32, 3, 5)]))
    monkeypatch.setitem(command.BENCHMARKS, "cpu-layers", small)
    given = ["cpu-layers", "--rounds", "2", "--results", str(tmp_path), "--only", "^GroupNorm, training.*float32$"]
    assert command.main([*given, "--dry"]) == 0
    assert not list(tmp_path.iterdir())
    assert command.main(given) == 0
    told = capsys.readouterr().out
    found = records.read(tmp_path / "cpu-layers.jsonl")
    assert [record.config["layout"] for record in found] == ["NCHW", "channels_last"]
    assert all(record.kind == "benchmark" for record in found)
    assert command.main([*given, "--tell"]) == 0
    assert capsys.readouterr().out in told
    assert len(records.read(tmp_path / "cpu-layers.jsonl")) == 2
    assert "GroupNorm" in told
    assert "processes that wanted a core" in told


def test_a_name_that_is_no_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["cpu", "--dry"])
    assert "NAME must be one of cpu-layers, cpu-step, cpu-growth: got 'cpu'" in capsys.readouterr().err


# ---- the picture -----------------------------------------------------------------------------------------------------


def test_growth_is_drawn_where_the_numbers_say(tmp_path, quick):
    found = [growth.measured(replace(place, C=min(place.C, 64), G=min(place.G, 64)), 1) for place in growth.places()
             if place.bytes < 10_000 or (place.axis == "G" and place.G <= 64)]  # fmt: skip
    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(2, 2).flat)
    figures.time_by_size(found, axes)
    for ax, axis in zip(axes, "NCSG", strict=True):
        runs = [record for record in found if record.config["axis"] == axis]
        drawn = {container.get_label(): container.lines[0].get_xydata() for container in ax.containers}
        assert ("BatchNorm" in drawn) == (axis != "G")
        expected = [[record.config[axis], record.results["group_us"] / 1000] for record in runs]
        assert drawn["GroupNorm"].tolist() == sorted(expected)
        bound = next(line for line in ax.lines if line.get_label() == "what memory allows")
        copies = [record.results["copy_us"] / 1000 for record in sorted(runs, key=lambda record: record.config[axis])]
        assert list(bound.get_ydata()) == pytest.approx([4 * copy for copy in copies], rel=2e-3)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"BatchNorm", "GroupNorm", "torch.nn's BatchNorm", "what memory allows"} <= set(names)
    with pytest.raises(ValueError, match="there must be records to draw"):
        figures.time_by_size([], axes)
