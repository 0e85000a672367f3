"""Reports: means and intervals in tables, diverged runs counted, and runs of two settings never averaged."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gnlib.cifar import report
from gnlib.records import summarize
from tests.test_records import benchmark, training

ACCURACY = {("batch", 2): (0.50, 0.55, 0.51), ("batch", 32): (0.74, 0.75, 0.76), ("group:8", 2): (0.70, 0.71, 0.69)}


def by_batch_size(**config):
    return [
        training(norm=norm, batch_size=size, seed=seed, held_out=accuracy, test=accuracy - 0.02, **config)
        for (norm, size), accuracies in ACCURACY.items()
        for seed, accuracy in enumerate(accuracies)
    ]


def rows(text):
    """Return the table's rows below its rule, up to an empty line."""
    return text.partition("----")[2].split("\n\n")[0].splitlines()[1:]


def test_a_table_holds_means_intervals_and_numbers_of_runs():
    runs = [*by_batch_size(), training(norm="group:8", batch_size=32, seed=0, held_out=0.701)]
    assert report.table(runs).splitlines() == [
        "held-out accuracy (%) by batch size",
        "norm                           2              32",
        "----------------  --------------  --------------",
        "BatchNorm         52.0 ± 6.6 (3)  75.0 ± 2.5 (3)",
        "GroupNorm, G = 8  70.0 ± 2.5 (3)  70.1 (one run)",
    ]
    assert f"{100 * summarize(ACCURACY['batch', 2]).half_width:.1f}" == "6.6"


def test_markdown_holds_the_same_cells():
    assert report.markdown(by_batch_size()).splitlines() == [
        "Held-out accuracy (%) by batch size:",
        "",
        "| norm | 2 | 32 |",
        "| --- | --: | --: |",
        "| BatchNorm | 52.0 ± 6.6 (3) | 75.0 ± 2.5 (3) |",
        "| GroupNorm, G = 8 | 70.0 ± 2.5 (3) | – |",
    ]


def test_other_fields_and_results_make_tables_too():
    text = report.table([training(accumulate=parts) for parts in (16, 1, 4)], "optimizer", "accumulate", "seconds")
    assert text.splitlines()[:2] == [
        "training time (s) by accumulate",
        "optimizer               1               4              16",
    ]
    assert text.count("12.5 (one run)") == 3


def test_diverged_runs_are_counted_and_not_averaged():
    runs = [training(seed=0), training(seed=1, held_out=0.8), training(seed=2, outcome="diverged")]
    runs += [training(norm="none", seed=seed, outcome="diverged") for seed in (0, 1)]
    table = rows(report.table(runs))
    interval = f"{100 * summarize([0.7, 0.8]).half_width:.1f}"
    assert table[0].split(maxsplit=1) == ["BatchNorm", f"75.0 ± {interval} (2), 1 diverged"]
    assert table[1].split() == ["no", "norm", "diverged", "(2)"]


def test_norms_stand_in_the_books_order_and_numbers_in_theirs():
    norms = ["group:16", "none", "ghost:16", "ghost:4", "group:2", "batch", "own", "layer", "groups-of:4", "instance"]
    table = rows(report.report("origin", [training("origin", norm=norm) for norm in norms]))
    assert [line.partition("  ")[0] for line in table] == [
        "BatchNorm", "LayerNorm", "InstanceNorm", "GroupNorm, G = 2", "GroupNorm, G = 16",
        "GroupNorm, 4 channels a group", "BatchNorm over 4 images", "BatchNorm over 16 images", "no norm", "own",
    ]  # fmt: skip


def test_runs_of_two_settings_stand_in_tables_of_their_own_under_what_differs():
    text = report.report("batch-size", by_batch_size() + by_batch_size(epochs=10)[:3])
    first, second = text.split("batch-size: ")[1:]
    assert first.startswith("epochs = 2\n")
    assert second.startswith("epochs = 10\n")
    assert "52.0 ± 6.6 (3)  75.0 ± 2.5 (3)" in first
    assert "75.0" not in second
    assert "3 seeds; 2 epochs of" in first
    assert "3 seeds; 10 epochs of" in second
    with pytest.raises(
        ValueError, match=r"a table shows one setting, and these records are of 2: epochs = 2; epochs = 10"
    ):
        report.table([training(), training(epochs=10)])


def test_a_batch_size_report_has_held_out_and_test_accuracy():
    text = report.report("batch-size", by_batch_size())
    held_out, test = (rows(part) for part in text.split(" accuracy (%) by batch size\n")[1:])
    assert held_out[0].split("  ")[-1] == "75.0 ± 2.5 (3)"
    assert test[0].split("  ")[-1] == "73.0 ± 2.5 (3)"
    assert "learning rates tried" not in text


def test_a_report_says_what_holds_for_its_runs():
    runs = [training(seed=seed, epochs=epochs) for seed, epochs in ((0, 2), (1, 10), (0, 16))]
    text = "\n".join(report.facts(runs))
    assert "2 seeds; 2, 10, 16 epochs of 45,000 training images; 5,000 held out, 10,000 for the test" in text
    assert "network resnet9; cpu, torch 2.13.0" in text
    assert "data cifar10 sha256:abababab; code 0123456" in text
    assert "reduced" not in text
    assert report.facts([training(train_images=2000)])[0] == "reduced: trained on a part of the images"
    assert "flips" not in "\n".join(report.facts([training()]))
    assert report.facts([training(test_flips=True)])[-1].startswith("evaluated with test-time flips")
    assert report.LEGEND in report.report("origin", runs)


def test_runs_that_were_made_again_are_named():
    again = [training(), training(finished="2026-02-01T00:00:00+00:00", held_out=0.1)]
    text = report.report("origin", again)
    assert "10.0 (one run)" in text
    assert "1 run made again: of each, the last one counts." in text
    assert "made again" not in report.report("origin", again[:1])


def test_the_best_rate_is_chosen_by_held_out_accuracy_and_says_of_how_many():
    runs = [
        training(norm=norm, batch_size=2, lr=rate, seed=seed, held_out=held_out, test=test)
        for norm, rate, held_out, test in (
            ("batch", 0.1, 0.5, 0.9), ("batch", 0.05, 0.6, 0.4), ("batch", 0.2, 0.3, 0.95), ("layer", 0.1, 0.7, 0.6),
        )
        for seed in (0, 1)
    ]  # fmt: skip
    runs.append(training(norm="batch", batch_size=2, lr=0.4, outcome="diverged"))
    best = report.report("batch-size", runs).partition("the best of the learning rates tried")[2]
    (line,) = rows(best)  # LayerNorm had one rate: nothing was chosen
    assert line.split() == ["BatchNorm", "2", "0.05", "4", "60.0", "±", "0.0", "(2)", "40.0", "±", "0.0", "(2)"]


def test_a_groups_report_has_the_papers_two_halves():
    norms = ("group:8", "group:2", "groups-of:4", "layer", "instance", "batch")
    text = report.report("groups", [training("groups", norm=norm) for norm in norms])
    halves = {part.splitlines()[0]: rows(part) for part in text.split("\n\n") if part.startswith("by ")}
    names = {title: [line.partition("  ")[0] for line in half] for title, half in halves.items()}
    assert names == {
        "by groups": ["BatchNorm", "LayerNorm", "GroupNorm, G = 2", "GroupNorm, G = 8"],
        "by channels a group": ["BatchNorm", "InstanceNorm", "GroupNorm, 4 channels a group"],
    }


def test_a_ghost_report_gives_the_values_per_statistic():
    runs = [training("ghost", norm=f"ghost:{k}", values_per_statistic=16 * k) for k in (128, 2)] + [training("ghost")]
    text = report.report("ghost", runs)
    assert [line.split("70.0")[0].split()[-1] for line in rows(text)] == ["–", "32", "2,048"]


def test_a_speedrun_report_ranks_settings_by_time_and_counts_who_reached_the_targets():
    runs = [training("speedrun", seed=seed, seconds=9.0, test=test) for seed, test in enumerate((0.9405, 0.9301, 0.92))]
    runs += [training("speedrun", norm="group:32", epochs=1, seconds=3.0, test=0.94, held_out=None)]
    runs += [training("speedrun", norm="group:32", epochs=1, seed=1, outcome="diverged")]
    text = report.report("speedrun", runs)
    first, second = (line.split("  ") for line in rows(text))
    cells = [[text.strip() for text in line if text.strip()] for line in (first, second)]
    interval = f"{100 * summarize([0.9405, 0.9301, 0.92]).half_width:.2f}"
    assert cells == [
        [
            "GroupNorm, G = 32; epochs = 1",
            "94.00 (one run), 1 diverged",
            "3.00 (one run), 1 diverged",
            "1 of 2",
            "1 of 2",
        ],
        ["BatchNorm; epochs = 2", f"93.02 ± {interval} (3)", "9.00 ± 0.00 (3)", "2 of 3", "1 of 3"],
    ]
    assert "≥ 93 %  ≥ 94 %" in text


def test_another_experiment_has_a_row_for_each_setting():
    text = report.report("train", [training("train"), training("train", lr=0.5)])
    assert [line.partition("  ")[0] for line in rows(text)] == ["BatchNorm; lr = 0.1", "BatchNorm; lr = 0.5"]


def test_markdown_reports_have_headings_and_lists():
    text = report.report("batch-size", by_batch_size(), "markdown")
    assert text.startswith("### batch-size\n\nHeld-out accuracy (%) by batch size:\n\n| norm | 2 | 32 |\n")
    assert "\n- 3 seeds; 2 epochs" in text


def test_data_holds_what_the_report_says():
    runs = [*by_batch_size(), training(norm="none", outcome="diverged"), *by_batch_size(epochs=10)[:1]]
    told = report.data("batch-size", runs)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert [setting["differs"] for setting in told["settings"]] == [{"epochs": 2}, {"epochs": 10}]
    cells = {(cell["norm"], cell["batch_size"]): cell for cell in told["settings"][0]["cells"]}
    assert cells["batch", 2]["held_out_accuracy"] == summarize(ACCURACY["batch", 2])._asdict()
    assert cells["none", 32]["held_out_accuracy"] is None
    assert cells["none", 32]["diverged"] == 1


@pytest.mark.parametrize("write", [report.report, report.data])
def test_no_records_are_no_report(write):
    with pytest.raises(ValueError, match="there are no records to report"):
        write("origin", [])


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match='form must be "text" or "markdown": got \'html\''):
        report.report("origin", [training()], "html")


def test_an_overview_counts_runs_by_what_made_them():
    later = replace(training(seed=8), changed=True, finished="2026-02-01T00:00:00Z")
    runs = [
        *by_batch_size(),
        training(seed=7, outcome="diverged", finished="2026-01-30T00:00:00Z"),
        training(train_images=2000),
        later,
        replace(benchmark(forward_us=3.5), experiment="gpu-layers"),
    ]
    head, _, *told = report.overview(runs).splitlines()
    assert head == "| experiment | runs | what | machine | data | commit | made on |"
    cpu = "cpu, Linux x86_64, torch 2.13.0"
    assert told == [
        f"| `batch-size` | 1 | reduced training | {cpu} | `abababab` | `0123456` | 2026-01-31 |",
        f"| `batch-size` | 1 | training | {cpu} | `abababab` | `0123456+` | 2026-02-01 |",
        f"| `batch-size` | 10, 1 diverged | training | {cpu} | `abababab` | `0123456` | 2026-01-30 to 2026-01-31 |",
        f"| `gpu-layers` | 1 | benchmark | {cpu} | – | `0123456` | 2026-01-31 |",
    ]
