"""Records: the schema, files that survive crashes and two writers, which runs may be averaged, and the statistics."""

from __future__ import annotations

import copy
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from gnlib import records
from gnlib.records import Record, TornLine, append, key, provenance, read, same, separate, summarize

ROOT = Path(__file__).parents[1]

CONFIG = {
    "data": "cifar10", "model": "resnet9", "norm": "batch", "seed": 0, "train_images": None, "held_out": None,
    "batch_size": 32, "accumulate": 1, "epochs": 2, "optimizer": "sgd", "lr": 0.1, "precision": "float32",
}  # fmt: skip


def training(
    experiment="batch-size", *, held_out=0.7, test=0.68, outcome="finished", seconds=12.5, device="cpu",
    fingerprint="ab" * 32, history=None, values_per_statistic=None, finished="2026-01-31T12:00:00+00:00", **config,
):  # fmt: skip
    """Make a record of a training that looks like a real one."""
    lost = outcome == "diverged"
    config = CONFIG | config
    return Record(
        kind="training",
        experiment=experiment,
        config=config,
        outcome=outcome,
        results={
            "test_accuracy": None if lost else test,
            "test_loss": None if lost else 0.9,
            "held_out_accuracy": None if lost else held_out,
            "held_out_loss": None if lost else 0.8,
            "train_loss": None if lost else 0.5,
            "values_per_statistic": values_per_statistic,
            "history": [{"epoch": 1, "train_loss": 0.9}] if history is None else history,
        },
        seconds=seconds,
        data={
            "name": config["data"], "fingerprint": f"sha256:{fingerprint}",
            "train": config["train_images"] or 45_000, "held_out": 5_000, "test": 10_000,
        },
        machine={"device": device, "threads": 2, "torch": "2.13.0", "python": "3.12.1", "system": "Linux x86_64"},
        commit="0123456789" * 4,
        changed=False,
        finished=finished,
    )  # fmt: skip


def benchmark(**results):
    record = training()
    return replace(record, kind="benchmark", config={"layer": "GroupNorm", "N": 32}, results=results, data={})


def changed(path, value):
    """Return the JSON object of a good record with one field changed, or taken away if the value is ``...``."""
    whole = json.loads(training().to_json())
    *parents, last = path.split(".")
    part = whole
    for parent in parents:
        part = part[parent]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return whole


# ------------------------------------------------------------------------------------------------------ the schema


@pytest.mark.parametrize("record", [training(), training(outcome="diverged"), benchmark(forward_us=3.5, note="warm")])
def test_a_record_comes_back_from_its_line_as_it_was(record):
    line = record.to_json()
    assert "\n" not in line
    assert Record.from_json(line) == record
    assert list(json.loads(line))[:3] == ["schema", "kind", "experiment"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", 2, "schema must be 1: got 2"),
        ("schema", True, "schema must be 1: got True"),
        ("kind", "test", 'kind must be "training" or "benchmark": got \'test\''),
        ("experiment", "../etc", "experiment must be a word such as \"batch-size\": got '../etc'"),
        ("outcome", "stopped", 'outcome must be "finished" or "diverged": got \'stopped\''),
        ("seconds", -1.0, "seconds must be a finite number from 0 on: got -1.0"),
        ("seconds", math.nan, "seconds must be a finite number from 0 on: got nan"),
        ("seconds", 10**400, "seconds must be a finite number from 0 on: got 1000"),
        ("seconds", True, "seconds must be a finite number from 0 on: got True"),
        ("changed", 1, "changed must be true or false: got 1"),
        ("commit", ..., "commit is missing; it must be a text of one line"),
        ("finished", "yesterday", "finished must be UTC as in .*: got 'yesterday'"),
        ("finished", "2026-01-31T12:00:00+02:00", "finished must be UTC"),
        ("config.norm", "", "config.norm must be a text of one line: got ''"),
        ("config.seed", ..., "config.seed is missing; it must be a whole number from 0 on"),
        ("config.batch_size", 0, "config.batch_size must be a whole number from 1 on: got 0"),
        ("config.recipe", {"lr": 0.1}, "config must be a flat object"),
        ("config.lr", math.inf, "config must be a flat object"),
        ("results", [], r"results must be an object: got \[\]"),
        ("results.test_accuracy", 71.3, "results.test_accuracy must be a fraction from 0 to 1, or null: got 71.3"),
        ("results.test_accuracy", None, 'results.test_accuracy must be a number where outcome is "finished": got null'),
        ("results.test_loss", math.nan, "results.test_loss must be a finite number, or null: got nan"),
        ("results.values_per_statistic", 0, "values_per_statistic must be a whole number from 1 on, or null: got 0"),
        ("results.top5", 0.9, "results has no field 'top5'; it has held_out_accuracy, held_out_loss, history"),
        ("results.history", [{"epoch": 2}, {"epoch": 1}], "with ascending epoch"),
        ("results.history", [{"loss": 1.0}], "results.history must be"),
        ("results.history", [{"epoch": 1, "train_loss": math.nan}], "results.history must be"),
        ("data.fingerprint", "sha256:ab", 'data.fingerprint must be "sha256:" and 64 hexadecimal digits'),
        ("data.name", "digits", "data.name must be config.data: got 'digits' and 'cifar10'"),
        ("machine.threads", 0, "machine.threads must be a whole number from 1 on: got 0"),
        ("machine.host", "box", "machine has no field 'host'; it has device, python, system, threads, torch"),
        ("note", "", "a record has no field 'note'"),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_what_is_allowed(path, value, message):
    with pytest.raises(ValueError, match=message):
        records.validate(changed(path, value))


def test_no_wrong_record_can_be_made():
    with pytest.raises(ValueError, match="seconds must be"):
        replace(training(), seconds=-1)
    with pytest.raises(ValueError, match=r"a record must be a JSON object: got \[1\]"):
        Record.from_json("[1]")
    with pytest.raises(ValueError, match="kind must be"):
        Record.from_json('{"schema": 1, "kind": ["training"]}')


@pytest.mark.parametrize("results", [{"forward": 3.5}, {"forward_us": math.nan}, {"shape_count": [1, 2]}])
def test_a_benchmarks_numbers_are_finite_and_named_by_their_unit(results):
    with pytest.raises(ValueError, match=r"finite numbers whose names end in _ns, _us, _ms"):
        benchmark(**results)


def test_what_is_not_finite_becomes_null_at_any_depth():
    inner = {"epoch": 1, "train_loss": math.nan, "name": "x"}
    assert records.finite({"test_loss": math.inf, "history": [inner], "epochs": 3}) == {
        "test_loss": None,
        "history": [{"epoch": 1, "train_loss": None, "name": "x"}],
        "epochs": 3,
    }


# ------------------------------------------------------------------------------------------------------- the files


def test_records_are_read_in_the_order_in_which_they_were_appended(tmp_path):
    file = tmp_path / "new" / "batch-size.jsonl"
    made = [training(seed=seed) for seed in (2, 0, 1)]
    for record in made:
        append(file, record)
    assert read(file) == made
    assert file.read_bytes().count(b"\n") == 3
    assert read(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("left", [1, 40, -1])
def test_a_torn_line_is_reported_and_the_next_record_starts_on_a_fresh_one(tmp_path, left):
    file = tmp_path / "origin.jsonl"
    append(file, training(seed=0))
    whole = file.read_bytes()
    append(file, training(seed=1))
    second = file.read_bytes()[len(whole) : -1]
    file.write_bytes(whole + second[:left])  # -1: all but the closing brace
    with pytest.warns(TornLine, match=r"origin.jsonl, line 2: cut short, as by a crash, and left out"):
        assert read(file) == [training(seed=0)]
    append(file, training(seed=2))
    with pytest.warns(TornLine, match="line 2"):
        assert read(file) == [training(seed=0), training(seed=2)]


def test_a_line_that_lacks_only_its_newline_is_whole(tmp_path):
    file = tmp_path / "origin.jsonl"
    file.write_text(training(seed=0).to_json())
    assert read(file) == [training(seed=0)]
    append(file, training(seed=1))
    assert read(file) == [training(seed=0), training(seed=1)]


def test_a_torn_character_does_not_poison_the_file(tmp_path):
    file = tmp_path / "origin.jsonl"
    file.write_bytes('{"kind": "é'.encode()[:-1])
    append(file, training())
    with pytest.warns(TornLine, match="line 1"):
        assert read(file) == [training()]


def test_a_whole_line_that_breaks_the_schema_is_an_error_with_its_place(tmp_path):
    file = tmp_path / "origin.jsonl"
    append(file, training())
    with file.open("a") as out:
        out.write(json.dumps(changed("seconds", -1)) + "\n")
    with pytest.raises(ValueError, match=r"origin.jsonl, line 2: seconds must be a finite number from 0 on: got -1"):
        read(file)


@pytest.mark.parametrize(
    "line",
    ["[" * 100_000, json.dumps(changed("schema", 1)).replace("{", '{"a": ' + "9" * 5000 + ", ", 1)],
    ids=["too deep", "too many digits"],
)
def test_a_line_that_python_will_not_read_is_an_error_with_its_place(tmp_path, line):
    file = tmp_path / "origin.jsonl"
    append(file, training())
    with file.open("a") as out:
        out.write(line + "\n")
    with pytest.raises(ValueError, match=r"origin.jsonl, line 2: a record must be JSON that Python can read"):
        read(file)


def test_one_record_is_one_write(tmp_path, monkeypatch):
    lengths, write, synced = [], os.write, []
    monkeypatch.setattr(records.os, "write", lambda file, line: lengths.append(len(line)) or write(file, line))
    monkeypatch.setattr(records.os, "fsync", synced.append)
    append(tmp_path / "a.jsonl", training())
    assert lengths == [(tmp_path / "a.jsonl").stat().st_size]
    assert len(synced) == 2  # the file, and the folder that it is new in


def test_a_line_that_another_process_slips_in_is_not_written_over(tmp_path, monkeypatch):
    file, write = tmp_path / "a.jsonl", os.write

    def late(number, line):
        with file.open("ab") as other:
            other.write(training(seed=1).to_json().encode() + b"\n")
        return write(number, line)

    monkeypatch.setattr(records.os, "write", late)
    append(file, training(seed=2))
    assert [record.config["seed"] for record in read(file)] == [1, 2]


def test_a_full_disk_is_an_error(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(records.os, "write", lambda file, line: write(file, line[:10]))
    with pytest.raises(OSError, match=r"a.jsonl: the disk took 10 of the record's \d+ bytes"):
        append(tmp_path / "a.jsonl", training())


WRITER = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("records", sys.argv[1])  # without torch: it must start at once
records = sys.modules["records"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(records)
record = records.Record.from_json(pathlib.Path(sys.argv[2]).read_text())
for _ in range(int(sys.argv[4])):
    records.append(sys.argv[3], record)
"""


def writer(folder: Path, record: Record, times: int) -> subprocess.Popen:
    source = folder / f"{record.config['seed']}.json"
    source.write_text(record.to_json())
    arguments = [records.__file__, str(source), str(folder / "shared.jsonl"), str(times)]
    return subprocess.Popen([sys.executable, "-c", WRITER, *arguments])


def test_two_processes_do_not_mix_their_lines(tmp_path):
    history = [{"epoch": epoch, "train_loss": 1 / epoch} for epoch in range(1, 400)]  # longer than a page of memory
    both = [writer(tmp_path, training(seed=seed, history=history), 100) for seed in (1, 2)]
    assert [process.wait() for process in both] == [0, 0]
    seeds = [record.config["seed"] for record in read(tmp_path / "shared.jsonl")]
    assert sorted(seeds) == [1] * 100 + [2] * 100


def test_a_process_killed_while_it_writes_leaves_only_whole_lines_or_one_torn(tmp_path):
    file = tmp_path / "shared.jsonl"
    process = writer(tmp_path, training(), 10**6)
    while not file.exists() or file.stat().st_size < 20_000:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with warnings.catch_warnings(record=True) as torn:
        warnings.simplefilter("always")
        before = read(file)
        append(file, training(seed=9))
        after = read(file)
    assert len(torn) in (0, 2)
    assert after == [*before, training(seed=9)]
    assert len(before) > 10


# ------------------------------------------------------------------------------------------- what ships with the book


def test_every_line_in_results_keeps_to_the_schema():
    told = (ROOT / "results/README.md").read_text()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a torn line is no record
        for file in (ROOT / "results").glob("*.jsonl"):
            found = read(file)
            assert found, f"{file.name} is empty"
            assert {record.experiment for record in found} == {file.stem}
            assert f"`{file.stem}`" in told, "results/README.md must say what the experiment asks"
            for record in found:
                data = record.data.get("fingerprint", "")
                assert records.short_fingerprint(data) in told, f"results/README.md must say what data {data} are"


def test_nothing_but_records_and_their_description_lies_in_results():
    assert {path.name for path in (ROOT / "results").iterdir() if path.suffix != ".jsonl"} == {"README.md"}


def test_the_description_lists_the_schemas_fields_and_no_others():
    text = (ROOT / "results/README.md").read_text()
    schema = text.split("## Schema")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `([a-z_.]+)` \|", schema, re.MULTILINE)
    assert sorted(listed) == sorted(records.OF_KIND["training"])
    assert f"## Schema {records.SCHEMA}\n" in text


def test_the_records_travel_in_the_wheel_and_are_found_there(tmp_path):
    checkout = tmp_path / "checkout"
    for folder in ("gnlib", "tools"):
        (checkout / folder).mkdir(parents=True)
    for name in ("pyproject.toml", "tools/hatch_build.py", "README.md", "LICENSE", "LICENSE-CC-BY-4.0"):
        (checkout / name).write_bytes((ROOT / name).read_bytes())
    (checkout / "gnlib/__init__.py").touch()
    (checkout / "gnlib/records.py").write_bytes(Path(records.__file__).read_bytes())
    append(checkout / "results/origin.jsonl", training("origin"))
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=checkout, check=True, capture_output=True)
    zipfile.ZipFile(next(tmp_path.glob("*.whl"))).extractall(tmp_path / "site")
    for site in (checkout, tmp_path / "site"):  # beside the package, and inside it
        ask = "from gnlib.records import recorded; print(len(recorded('origin')), recorded.__code__.co_filename)"
        done = subprocess.run([sys.executable, "-c", ask], cwd=site, check=True, capture_output=True, text=True)
        assert done.stdout.split() == ["1", str(site / "gnlib/records.py")]


def test_an_experiment_without_records_is_refused_with_those_that_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "shipped", lambda: tmp_path)
    with pytest.raises(ValueError, match="there are no records of 'origin'; there are of no experiment yet"):
        records.recorded("origin")
    for name in ("origin", "ghost"):
        append(tmp_path / f"{name}.jsonl", training(name))
    with pytest.raises(ValueError, match=r"there are no records of '\.\./origin'; there are of ghost, origin"):
        records.recorded("../origin")
    assert records.recorded("ghost") == [training("ghost")]


# ------------------------------------------------------------------------------------------------ whence and where


def test_the_machine_is_described_without_its_owner():
    told = records.machine("NVIDIA H100", 4)
    assert replace(training(), machine=told).machine["device"] == "NVIDIA H100"
    assert re.fullmatch(r"\w+ \w+", told["system"])
    assert told["torch"][0].isdigit()
    assert os.uname().nodename not in json.dumps(told)


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=ada", "-c", "user.email=ada@localhost"]
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_commit_is_the_checkouts_and_only_code_makes_it_changed(tmp_path, monkeypatch):
    monkeypatch.delenv("GNLIB_COMMIT", raising=False)
    (tmp_path / "gnlib").mkdir()
    (tmp_path / "gnlib/records.py").write_text("x = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "First")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "results").mkdir()
    (tmp_path / "results/origin.jsonl").write_text("{}\n")  # what a sweep appends does not change the code
    assert provenance(tmp_path) == (commit, False)
    assert provenance(tmp_path).short == commit[:7]
    (tmp_path / "gnlib/new.py").write_text("")
    assert provenance(tmp_path) == (commit, True)
    (tmp_path / "gnlib/new.py").unlink()
    (tmp_path / "gnlib/records.py").write_text("x = 2\n")
    assert provenance(tmp_path) == (commit, True)


def test_somebody_elses_repository_is_not_taken_for_ours(tmp_path, monkeypatch):
    monkeypatch.delenv("GNLIB_COMMIT", raising=False)
    site = tmp_path / "site-packages"
    (site / "gnlib").mkdir(parents=True)
    (site / "gnlib/records.py").touch()
    (tmp_path / ".gitignore").write_text("site-packages\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "Theirs")
    commit, dirty = provenance(site)
    assert re.fullmatch(r"gnlib-book \d[\d.]*", commit)
    assert not dirty
    monkeypatch.setattr(records, "_version", lambda name: "unknown")
    assert provenance(site) == ("unknown", False)
    monkeypatch.setenv("PATH", "")  # no git at all
    assert provenance(ROOT) == ("unknown", False)
    monkeypatch.setenv("GNLIB_COMMIT", "c0ffee+changed")
    assert provenance(site) == ("c0ffee", True)


# ------------------------------------------------------------------------------------------- which runs are the same


def test_the_key_of_a_cell_depends_on_what_decides_the_run_and_nothing_else():
    turned = dict(reversed(CONFIG.items()))
    assert same(CONFIG, turned)
    assert same(CONFIG, CONFIG | {"epochs": 2.0, "an_option_of_a_later_version": None})
    assert not same(CONFIG, CONFIG | {"seed": 1})
    assert not same(CONFIG, CONFIG | {"train_images": 2000})
    assert not same({"flip": True}, {"flip": 1})
    assert key("origin", CONFIG) != key("batch-size", CONFIG)
    assert key("origin", CONFIG) == key("origin", json.loads(json.dumps(CONFIG)))


@pytest.mark.parametrize(
    "other",
    [{"epochs": 10}, {"model": "vgg"}, {"fingerprint": "cd" * 32}, {"device": "NVIDIA H100"}, {"lr": 0.05},
     {"train_images": 2000}, {"precision": "bfloat16"}],
)  # fmt: skip
def test_runs_that_differ_in_more_than_the_axes_and_the_seed_are_separate(other):
    mixed = [training(**other)] + [training(seed=seed, norm=norm) for seed in (0, 1) for norm in ("batch", "layer")]
    settings = separate(mixed, ("norm", "batch_size"))
    assert [len(setting.records) for setting in settings] == [4, 1]
    (name,) = other
    assert set(settings[0].differs) == {name}
    assert settings[0].differs != settings[1].differs
    assert settings[1].headline.startswith(f"{name} = ")


def test_alike_runs_are_one_setting_without_a_headline():
    alike = [training(seed=0, values_per_statistic=512), training(seed=1, batch_size=2, values_per_statistic=32)]
    (setting,) = separate(alike, ("norm", "batch_size"))
    assert setting.headline == ""
    reduced = training(train_images=2000, values_per_statistic=64)
    headlines = [setting.headline for setting in separate([*alike, reduced], ("norm", "batch_size"))]
    assert headlines == ["train_images = all", "train_images = 2,000"]
    assert len(separate([training(), training(batch_size=2)], ("norm",))) == 2


def test_of_a_run_that_was_repeated_the_last_one_counts():
    early = training(held_out=0.1, finished="2026-01-01T00:00:00+00:00")
    late = training(held_out=0.2, finished="2026-01-02T00:00:00+00:00")
    for pair in ([early, late], [late, early]):
        (setting,) = separate(pair, ("norm",))
        assert setting.records == [late]


def test_a_benchmark_has_no_accuracy_to_average():
    with pytest.raises(ValueError, match="only records of training have accuracies: got one of kind 'benchmark'"):
        separate([benchmark(forward_us=1.0)], ())


def test_headlines_are_for_people():
    told = {
        "train_images": None,
        "epochs": 10_000,
        "lr": 0.05,
        "compile": "",
        "flip": True,
        "fingerprint": "sha256:" + "ab" * 32,
    }
    assert records.describe(told) == (
        'train_images = all, epochs = 10,000, lr = 0.05, compile = "", flip = yes, fingerprint = sha256:abababab'
    )


def test_norms_are_named_for_people():
    names = [records.norm_name(norm) for norm in ("batch", "group:8", "groups-of:16", "ghost:1", "own:3")]
    assert names == [
        "BatchNorm", "GroupNorm, G = 8", "GroupNorm, 16 channels a group", "BatchNorm over 1 image", "own:3",
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------------- statistics


def test_a_cell_averages_what_finished_and_counts_what_diverged():
    runs = [
        training(seed=0, held_out=0.6),
        training(seed=1, held_out=0.8),
        training(seed=2, outcome="diverged", seconds=1),
    ]
    found = records.cell(runs)
    assert found.summary == summarize([0.6, 0.8])
    assert found.diverged == 1
    assert records.cell(runs, "seconds").summary.mean == 12.5
    assert records.cell(runs[2:]) == (None, 1)
    assert records.cell([training(held_out=None)]) == (None, 0)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 10, 29, 30, 101, 1000])
@pytest.mark.parametrize("probability", [0.6, 0.95, 0.975, 0.995])
def test_the_t_quantile_is_scipys(probability, degrees):
    assert records.t_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-11)


@pytest.mark.parametrize("values", [[0.7, 0.72], [0.71, 0.69, 0.75], [0.1, 0.9, 0.4, 0.35, 0.8]])
def test_the_interval_is_scipys(values):
    found = summarize(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=found.mean, scale=stats.sem(values))
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx((low, high), rel=1e-11)
    assert found.sd == pytest.approx(stats.tstd(values), rel=1e-12)
    assert found.n == len(values)


def test_one_run_claims_no_interval():
    assert summarize([0.7]) == (0.7, None, None, 1)
    with pytest.raises(ValueError, match="a summary needs at least one value"):
        summarize([])


def test_no_check_changes_what_it_checks():
    whole = json.loads(training().to_json())
    before = copy.deepcopy(whole)
    records.validate(whole)
    assert whole == before


@pytest.mark.parametrize(("kind", "there"), [("standard", True), ("editable", False)])
def test_the_wheel_carries_the_records_and_an_editable_install_leaves_them_where_they_are(tmp_path, kind, there):
    """A second folder gnlib in site-packages would stand before the real one."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", f"wheel:{kind}", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert ("gnlib/results/batch-size.jsonl" in names) is there
    assert any(name.startswith("gnlib/") for name in names) is there
