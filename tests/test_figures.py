"""Figures: what is drawn lies where the numbers say, and norms look the same in all of them."""

from __future__ import annotations

import math
import time

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from gnlib import figures
from gnlib.records import summarize
from tests.test_records import training

ACCURACY = {("batch", 2): (0.50, 0.55, 0.51), ("batch", 32): (0.74, 0.75, 0.76), ("group:8", 2): (0.70, 0.71, 0.69),
            ("group:8", 32): (0.71, 0.70, 0.72), ("none", 32): (0.60, 0.61, 0.65)}  # fmt: skip


def by_batch_size():
    runs = [
        training(norm=norm, batch_size=size, seed=seed, held_out=accuracy)
        for (norm, size), accuracies in ACCURACY.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    return runs + [training(norm="none", batch_size=2, seed=seed, outcome="diverged") for seed in (0, 1)]


def axes(count=1):
    figure = Figure(figsize=(6, 3), layout="constrained")
    FigureCanvasAgg(figure)
    made = figure.subplots(1, count)
    return made if count > 1 else [made]


def series(ax):
    """Return what is drawn with intervals: label: ([x, …], [mean, …], [(low, high), …])."""
    found = {}
    for container in ax.containers:
        line, _, (bars,) = container.lines
        ends = [tuple(segment[:, 1]) for segment in bars.get_segments() if len(segment)]  # none where there is no bar
        found[container.get_label()] = (list(line.get_xdata()), list(line.get_ydata()), ends)
    return found


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def crosses(ax):
    return [(line.get_xdata()[0], line.get_color()) for line in ax.lines if line.get_gid() == "diverged"]


# --------------------------------------------------------------------------------------------------- by batch size


def test_every_mean_and_interval_stands_at_its_batch_size():
    (ax,) = axes()
    figures.accuracy_by_batch_size(by_batch_size(), ax)
    drawn = series(ax)
    assert set(drawn) == {"BatchNorm", "GroupNorm, G = 8", "no norm"}
    for norm, label in (("batch", "BatchNorm"), ("group:8", "GroupNorm, G = 8")):
        xs, means, ends = drawn[label]
        assert xs == [2, 32]
        for x, mean, (low, high) in zip(xs, means, ends, strict=True):
            found = summarize(ACCURACY[norm, x])
            assert mean == pytest.approx(100 * found.mean)
            assert (low, high) == pytest.approx((mean - 100 * found.half_width, mean + 100 * found.half_width))
    assert ax.get_ylabel() == "held-out accuracy (%)"
    assert ax.get_xlabel() == "batch size (images a step)"
    left, right = ax.get_xlim()
    assert left > 32 > 2 > right  # small batches on the right
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2", "32"]


def test_every_point_is_within_the_axes():
    (ax,) = axes()
    figures.accuracy_by_batch_size(by_batch_size(), ax)
    low, high = ax.get_ylim()
    for _, _, ends in series(ax).values():
        assert low < np.nanmin(ends)
        assert np.nanmax(ends) < high


def test_series_step_aside_on_paper_and_not_in_the_data():
    (ax,) = axes()
    figures.accuracy_by_batch_size(by_batch_size(), ax)
    ax.figure.draw_without_rendering()
    places = [container.lines[0].get_transform().transform((32, 70))[0] for container in ax.containers]
    steps = np.diff(sorted(places)) / ax.figure.dpi * 72  # points
    assert steps == pytest.approx([figures.SIDESTEP] * 2)


def test_a_diverged_run_is_a_cross_on_the_floor_and_a_word_in_the_legend():
    (ax,) = axes()
    figures.accuracy_by_batch_size(by_batch_size(), ax)
    assert crosses(ax) == [(2, figures.STYLES["none"].color)]
    (cross,) = (line for line in ax.lines if line.get_gid() == "diverged")
    ax.figure.draw_without_rendering()
    height = cross.get_transform().transform((2, 0))[1] - ax.bbox.y0
    assert height == pytest.approx(6 / 72 * ax.figure.dpi)
    assert legend(ax)[-1] == "diverged"
    assert series(ax)["no norm"][0] == [32]  # and has no height
    (ax,) = axes()
    figures.accuracy_by_batch_size([run for run in by_batch_size() if run.outcome == "finished"], ax)
    assert crosses(ax) == []
    assert "diverged" not in legend(ax)


def test_the_legend_runs_as_the_lines_end_on_the_right_and_says_what_the_bars_are():
    (ax,) = axes()
    figures.accuracy_by_batch_size([run for run in by_batch_size() if run.config["norm"] != "none"], ax)
    assert legend(ax) == ["GroupNorm, G = 8", "BatchNorm"]  # at batch 2
    assert ax.get_legend().get_title().get_text() == "mean of 3 runs,\n95 % interval"


def test_one_run_has_no_bar_and_the_legend_says_so():
    (ax,) = axes()
    figures.accuracy_by_batch_size([training(batch_size=size) for size in (2, 32)], ax)
    (_, means, ends), *_ = series(ax).values()
    assert means == pytest.approx([70, 70])
    assert ends == []
    assert ax.get_legend().get_title().get_text() == "one run each"


def test_another_result_is_drawn_when_asked_for():
    (ax,) = axes()
    figures.accuracy_by_batch_size([training(batch_size=size) for size in (2, 32)], ax, "test_loss")
    assert series(ax)["BatchNorm"][1] == [0.9, 0.9]  # not in percent
    assert ax.get_ylabel() == "test loss (nats)"


@pytest.mark.parametrize("draw", [figures.accuracy_by_batch_size, figures.accuracy_by_values])
def test_runs_of_two_settings_are_not_drawn_as_one(draw):
    mixed = [training(), training(seed=1, epochs=10)]
    with pytest.raises(
        ValueError, match=r"these records are of 2: epochs = 2; epochs = 10; take one of gnlib.records.sep"
    ):
        draw(mixed, axes()[0])
    with pytest.raises(ValueError, match="there are no records to show in a figure"):
        draw([], axes()[0])


# ------------------------------------------------------------------------------------------- by values per statistic


def test_values_per_statistic_come_from_the_record_or_from_a_function():
    runs = [training(norm=f"ghost:{k}", seed=seed, values_per_statistic=16 * k) for k in (8, 1) for seed in (0, 1)]
    runs += [training(norm="none", values_per_statistic=None)]  # has no statistics
    (ax,) = axes()
    figures.accuracy_by_values(runs, ax)
    assert {label: xs for label, (xs, _, _) in series(ax).items()} == {"ghost BatchNorm": [16, 128]}
    assert ax.get_xlabel() == "values per statistic"
    (ax,) = axes()
    figures.accuracy_by_values(runs, ax, lambda run: 4.0 * int(run.config["norm"][6:]))
    assert series(ax)["ghost BatchNorm"][0] == [4, 32]


def test_runs_without_values_per_statistic_are_refused():
    with pytest.raises(ValueError, match="a run must have values_per_statistic: that with norm=batch has null"):
        figures.accuracy_by_values([training()], axes()[0])


def test_two_batch_sizes_with_as_many_values_are_two_points():
    runs = [
        training(norm="layer", batch_size=size, seed=seed, held_out=held_out, values_per_statistic=2048)
        for size, held_out in ((2, 0.5), (32, 0.7))
        for seed in (0, 1)
    ]
    (ax,) = axes()
    figures.accuracy_by_values(runs, ax)
    xs, means, _ = series(ax)["LayerNorm"]
    assert (xs, means) == ([2048, 2048], pytest.approx([50, 70]))
    assert ax.containers[0].lines[0].get_linestyle() == "None"  # a line would run straight up


def test_every_run_has_a_marker_of_its_own_and_every_kind_one_line_in_the_legend():
    runs = [training(norm=norm, test=0.1 * k, values_per_statistic=k) for k in (2, 8) for norm in ("batch", "group:8")]
    runs.append(training(norm="groups-of:2", model="smaller", test=0.5, values_per_statistic=2))
    (ax,) = axes()
    figures.each_run_by_values(runs, ax, hollow="smaller")
    drawn = [(line.get_xdata()[0], line.get_ydata()[0], line.get_markerfacecolor()) for line in ax.lines]
    assert [(x, pytest.approx(y)) for x, y, _ in drawn] == [(2, 20), (2, 20), (8, 80), (8, 80), (2, 50)]
    assert [face == "none" for _, _, face in drawn] == [False] * 4 + [True]
    assert legend(ax) == ["BatchNorm", "GroupNorm"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2", "8"]


# ------------------------------------------------------------------------------------------------------- by groups


def test_the_two_halves_show_groups_and_channels_a_group_from_layer_norm_to_instance_norm():
    accuracy = {"group:2": 0.70, "group:16": 0.72, "groups-of:4": 0.71, "groups-of:32": 0.69, "layer": 0.68,
                "instance": 0.6, "batch": 0.75}  # fmt: skip
    runs = [
        training(norm=norm, seed=seed, held_out=mean + shift)
        for norm, mean in accuracy.items()
        for seed, shift in enumerate((-0.01, 0.01))
    ]
    left, right = axes(2)
    figures.accuracy_by_groups(runs, (left, right))
    of_left = {label: (xs, pytest.approx(means)) for label, (xs, means, _) in series(left).items()}
    of_right = {label: (xs, pytest.approx(means)) for label, (xs, means, _) in series(right).items()}
    assert of_left == {"GroupNorm": ([2, 16], [70, 72]), "LayerNorm": ([1], [68])}
    assert of_right == {"GroupNorm": ([4, 32], [71, 69]), "InstanceNorm": ([1], [60])}
    assert (left.get_xlabel(), right.get_xlabel()) == ("groups", "channels a group")
    assert left.get_xlim()[0] < left.get_xlim()[1]
    assert right.get_xlim()[0] > right.get_xlim()[1]  # right means more groups in both
    assert left.get_ylim() == right.get_ylim()
    for ax in (left, right):
        (level,) = (line for line in ax.lines if line.get_label() == "BatchNorm")
        assert list(level.get_ydata()) == pytest.approx([75, 75])
        band = ax.patches[0].get_extents().transformed(ax.transData.inverted())
        half_width = 100 * summarize([0.74, 0.76]).half_width
        assert (band.y0, band.y1) == pytest.approx((75 - half_width, 75 + half_width))
    assert sorted(legend(right)) == ["BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm"]


# -------------------------------------------------------------------------------------------------------- by epoch


def history(*rows):
    return [
        {"epoch": epoch, "train_loss": loss, "held_out_accuracy": accuracy}
        for epoch, (loss, accuracy) in enumerate(rows, 1)
    ]


def test_curves_show_accuracy_and_loss_by_epoch_and_can_be_drawn_again():
    pair = axes(2)
    figures.curves({"batch": history((2.0, 0.3))}, pair)
    figures.curves({"batch": history((2.0, 0.3), (1.5, 0.5)), "group:8, seed 1": history((2.1, 0.25))}, pair)
    accuracy, loss = pair
    drawn = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in accuracy.lines}
    assert drawn == {"batch": ([1, 2], pytest.approx([30, 50])), "group:8, seed 1": ([1], pytest.approx([25]))}
    assert [list(line.get_ydata()) for line in loss.lines] == [[2.0, 1.5], [2.1]]
    assert [line.get_color() for line in loss.lines] == [figures.STYLES[norm].color for norm in ("batch", "group")]
    assert (accuracy.get_ylabel(), loss.get_ylabel()) == ("held-out accuracy (%)", "training loss (nats)")
    assert legend(accuracy) == ["batch", "group:8, seed 1"]


def test_a_curve_that_ends_in_nan_ends_in_a_cross():
    for lost in (None, math.nan):
        pair = axes(2)
        figures.curves({"instance": history((2.0, 0.3), (lost, lost))}, pair)
        assert [crosses(ax) for ax in pair] == [[(2, figures.STYLES["instance"].color)]] * 2
        assert legend(pair[0]) == ["instance", "diverged"]


def test_curves_of_nothing_yet_are_empty():
    pair = axes(2)
    figures.curves({"batch": []}, pair)
    pair[0].figure.draw_without_rendering()
    assert pair[0].get_legend() is None


def test_curves_keep_up_with_a_run():
    pair = axes(2)
    long = {norm: history(*[(2 / epoch, 0.5) for epoch in range(1, 201)]) for norm in figures.STYLES}
    figures.curves(long, pair)
    start = time.perf_counter()
    for _ in range(3):
        figures.curves(long, pair)
    assert (time.perf_counter() - start) / 3 < 1  # s; a notebook draws once a second; 0.02 here


# --------------------------------------------------------------------------------------------------------- by time


def test_time_to_accuracy_shows_runs_means_paths_and_targets():
    path = [
        {"epoch": 1, "held_out_accuracy": 0.9, "seconds": 1.5},
        {"epoch": 2, "held_out_accuracy": 0.93, "seconds": 3},
    ]
    runs = [
        training("speedrun", seed=seed, seconds=3.0 + seed, test=0.94 + seed / 1000, history=path) for seed in (0, 1)
    ]
    runs += [training("speedrun", norm="group:32", epochs=9, outcome="diverged", seconds=2.0, history=[])]
    (ax,) = axes()
    figures.time_to_accuracy(runs, ax)
    (container,) = ax.containers
    mean, _, bars = container.lines
    assert (mean.get_xdata()[0], mean.get_ydata()[0]) == pytest.approx((3.5, 94.05))
    across, up = (bar.get_segments()[0] for bar in bars)
    assert across[:, 0] == pytest.approx(3.5 + summarize([3, 4]).half_width * np.array([-1, 1]))
    assert up[:, 1] == pytest.approx(94.05 + 100 * summarize([0.94, 0.941]).half_width * np.array([-1, 1]))
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in ax.lines]
    assert ([1.5, 3], pytest.approx([90, 93])) in lines  # the way there
    assert ([3.0, 4.0], pytest.approx([94, 94.1])) in lines  # the runs
    assert [text.get_text() for text in ax.texts] == ["93 %", "94 %"]
    assert crosses(ax) == [(2.0, figures.STYLES["group"].color)]
    assert legend(ax) == ["BatchNorm\nepochs = 2, 2 runs", "diverged"]
    assert ax.get_xlabel() == "training time (s)"


# ------------------------------------------------------------------------------------------------------- appearance


def luminance(color):
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("norm", figures.STYLES)
def test_a_norm_is_seen_on_light_and_on_dark_paper(norm):
    ink = luminance(figures.STYLES[norm].color)
    on_white, on_dark = 1.05 / (ink + 0.05), (ink + 0.05) / (luminance("#141518") + 0.05)
    assert min(on_white, on_dark) > 2.8  # WCAG asks for 3; reddish purple has 2.87 on white, and a marker of its own


def test_no_two_norms_share_marker_and_line():
    looks = {(style.marker, str(style.linestyle)) for norm, style in figures.STYLES.items() if norm != "groups-of"}
    assert len(looks) == len(figures.STYLES) - 1
    assert figures.STYLES["group"] == figures.STYLES["groups-of"]


def test_a_norm_looks_the_same_in_every_figure_and_two_of_a_kind_differ():
    (ax,) = axes()
    figures.accuracy_by_batch_size([training(norm=norm) for norm in ("group:2", "group:8", "batch")], ax)
    lines = {container.get_label(): container.lines[0] for container in ax.containers}
    two, eight = lines["GroupNorm, G = 2"], lines["GroupNorm, G = 8"]
    assert (two.get_color(), two.get_marker()) == (eight.get_color(), eight.get_marker()) == figures.STYLES["group"][:2]
    assert two.get_markerfacecolor() != eight.get_markerfacecolor()
    assert (lines["BatchNorm"].get_color(), lines["BatchNorm"].get_marker()) == figures.STYLES["batch"][:2]


def test_words_take_the_readers_style_and_no_background_is_set():
    with mpl.rc_context({"text.color": "#abcdef", "axes.labelcolor": "#abcdef", "axes.facecolor": "none"}):
        (ax,) = axes()
        figures.accuracy_by_batch_size(by_batch_size(), ax)
        assert ax.xaxis.label.get_color() == "#abcdef"
        assert {text.get_color() for text in ax.get_legend().get_texts()} == {"#abcdef"}
        assert ax.get_facecolor() == (0, 0, 0, 0)
