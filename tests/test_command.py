"""The command line as people use it: what it prints, what it refuses, how it ends, and that it goes on."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from gnlib import records
from gnlib.cifar import command, data, doctor, experiments, models, norms, options, progress, runs
from gnlib.cifar.experiments import SWEEPS, Sweep
from gnlib.cifar.runs import Config
from gnlib.cifar.training import Recipe

GNLIB = [sys.executable, "-m", "gnlib"]
# several seconds of tiny steps, to be stopped somewhere within
LONG = ["train", "--data", "digits", "--norm", "group:8", "--batch-size", "8", "--epochs", "4", "--device", "cpu"]
SHORT = ["train", "--data", "digits", "--batch-size", "100", "--epochs", "1", "--device", "cpu"]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder to work in, no CIFAR-10 anywhere, and nothing left of the handlers that main() sets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GNLIB_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("GNLIB_DEBUG", raising=False)
    before = [list(logger.handlers) for logger in progress.LOGGERS]
    yield
    for logger, handlers in zip(progress.LOGGERS, before, strict=True):
        logger.handlers = handlers


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "load", lambda *arguments, **settings: pytest.fail("the data were touched"))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = tuple(Config.of(data="digits", norm=norm, epochs=1, batch_size=100) for norm in ("batch", "group:4"))
    monkeypatch.setitem(SWEEPS, "tiny", Sweep("Does it sweep?", cells, ()))


def last_weights(folder: Path) -> bytes:
    return max(folder.glob("checkpoints/step-*")).joinpath("model.safetensors").read_bytes()


# ------------------------------------------------------------------------------------------------- a run, from outside


def test_stopped_by_ctrl_c_it_goes_on_to_bitwise_the_same_weights(tmp_path: Path) -> None:
    whole = subprocess.run([*GNLIB, *LONG, "--folder", "whole"], capture_output=True, text=True, check=False)
    assert (whole.returncode, whole.stderr) == (0, "")
    lines = whole.stdout.splitlines()
    assert [line[:9] for line in lines if line.startswith("epoch")] == [f"epoch {n}/4" for n in range(1, 5)]
    assert lines[-1].startswith("Finished: held out 9")
    assert lines[-1].endswith("Record: whole/record.json")

    with subprocess.Popen([*GNLIB, *LONG], stdout=subprocess.PIPE, text=True) as process:
        told = []
        for line in process.stdout:
            told.append(line.rstrip("\n"))
            if line.startswith("epoch 1/4"):
                process.send_signal(signal.SIGINT)
    assert process.returncode == 3
    folder = Path("runs/digits-group8-batch8-seed0")
    assert told[-1].startswith("Stopped after ")
    again = told[-1].partition(" To go on: ")[2]
    assert again == f"python -m gnlib resume {folder}"
    assert not (folder / "record.json").exists()
    assert last_weights(folder) != last_weights(tmp_path / "whole")

    resumed = subprocess.run(
        [*GNLIB, *shlex.split(again)[3:], "--json"], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert resumed.returncode == 0
    assert last_weights(folder) == last_weights(tmp_path / "whole")
    answer = json.loads(resumed.stdout)  # one object and nothing else
    assert (answer["state"], answer["folder"]) == ("finished", str(folder))
    one, other = (
        records.Record.from_json((place / "record.json").read_text()) for place in (folder, tmp_path / "whole")
    )
    assert json.loads(one.to_json()) == answer["record"]
    assert one.results["test_loss"] == other.results["test_loss"]
    assert "epoch 4/4" in resumed.stderr  # with --json people read the other stream


def test_a_reader_who_goes_away_is_no_error() -> None:
    for arguments in (["--help"], ["sweep", "speedrun", "--list"]):
        with subprocess.Popen([*GNLIB, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.close()
            assert process.stderr.read() == b""


# --------------------------------------------------------------------------------------------- before data is touched


def test_a_dry_run_says_all_and_touches_nothing(tmp_path: Path, no_data: None, capsys) -> None:
    chosen = ["train", "--norm", "group:32", "--batch-size", "256", "--epochs", "4", "--accumulate", "2", "--dry-run"]
    assert command.main(chosen) == 0
    told = capsys.readouterr().out
    for part in (
        "resnet9, 6,573,120 parameters",
        "group:32: GroupNorm, G = 32, 256 values or more per statistic",
        "cifar10: 45,000 images to train on, 5,000 held out, 10,000 for the test",
        "700: 4 epochs of 175, 256 images a step, in 2 parts",
        "0.2, rising to it for 0.8 epochs, then falling to 0 (cosine); sgd",
        "runs/cifar10-resnet9-group32-batch256-seed0",
        "A dry run: no data were read, and nothing was written.",
    ):
        assert part in told
    assert command.main([*chosen, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["state"], facts["steps"], facts["peak_lr"], facts["parameters"]) == ("planned", 700, 0.2, 6_573_120)
    assert Config.of(**facts["config"]) == Config.of(
        norm="group:32", batch_size=256, epochs=4, accumulate=2, precision=facts["config"]["precision"]
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("held_out", [None, 0, 100])
def test_a_dry_run_counts_the_images_that_a_run_would_have(held_out: int | None) -> None:
    found = data.load("digits", held_out=held_out)
    counts = tuple(len(split.labels) for split in (found.train, found.held_out, found.test))
    assert command._images(Config.of(data="digits", held_out=held_out)) == counts


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--norm", "group:7"], "1, 2, 4, 8, 16, 32 or 64 groups would do"),
        (["--norm", "gruop:8"], "norm must be one of batch, layer, instance, group:G"),
        (["--model", "resnet"], "model must be one of resnet9, "),
        (["--data", "mnist"], "data must be cifar10, digits, or a folder that is there: got 'mnist'"),
        (["--data", ""], "data must be cifar10, digits, or a folder that is there: got ''"),
        (["--data", "digits", "--crop", "8"], "crop must be 0 to 7, less than an image's side: got 8; 4 would do"),
        (["--data", "digits", "--batch-size", f"{10**20}"], f"got batch_size={10**20} and 1,000 images"),
        (["--train-images", "7"], "train_images must be a multiple of the 10 classes"),
        (["--lr", "-1"], "lr must be a number from 0 on: got -1"),
        (["--lr", "nan"], "lr must be a number from 0 on: got nan"),
        (["--data", "digits", "--batch-size", "1"], "a channel must hold more than one value in the batch"),
        (["--data", "digits", "--batch-size", "1001"], "got batch_size=1001 and 1,000 images"),
        (["--device", "qpu"], "device must be auto, cpu, or a GPU that is here: got 'qpu'"),
        (["--precision", "int8"], "precision must be one of 'float32', 'bfloat16', 'float16': got 'int8'"),
    ],
)
def test_a_bad_value_gets_the_rule_and_what_would_work(
    given: list[str], message: str, tmp_path: Path, no_data: None, capsys
) -> None:
    assert command.main(["train", *given]) == 1
    told = capsys.readouterr()
    assert message in told.err
    assert len(told.err.splitlines()) == 1
    assert told.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["train", "--bach-size", "3"], "there is no option --bach-size; did you mean --batch-size?"),
        (["train", "--batch", "3"], "there is no option --batch; did you mean --batch-size?"),
        (["train", "extra"], "there is no argument extra"),
        (["trian"], "did you mean train?"),
        (["train", "--epochs", "ten"], "must be a whole number: got 'ten'"),
        (["train", "--lr", "fast"], "must be a number: got 'fast'"),
        (["--verbose"], "there is no option --verbose"),
    ],
)
def test_a_slip_is_shown_with_what_may_have_been_meant(given: list[str], message: str, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(given)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------------------- help


def help_of(*given: str) -> str:
    parser = options.make_parser(given)
    return parser.parse_args(list(given)).parser.format_help()


def test_the_help_of_train_has_every_setting_norm_and_model() -> None:
    told = help_of("train")
    settings = {item.name for kind in (Config, Recipe) for item in fields(kind)} - {"recipe"}
    assert {name for names in options.SETTINGS.values() for name in names} == settings
    for name in settings:
        assert f"--{name.replace('_', '-')}" in told
    assert set(options.MODELS) == set(models.MODELS)
    for name, words in (norms.SPECS | options.MODELS).items():
        assert f" {name} {words}" in " ".join(told.split())
    assert not re.search("[a-z]_[a-z]", told)  # fields are called as they are typed


def test_every_setting_is_explained_by_the_comment_beside_it() -> None:
    words = options.setting_words()
    assert words["warmup"] == "epochs in which the learning rate rises to lr"
    assert all(len(text) > 10 for text in words.values())


def test_the_defaults_that_are_shown_are_the_models() -> None:
    assert "images a step of the optimizer (default: 128)" in " ".join(help_of("train").split())
    assert "images a step of the optimizer (default: 64)" in " ".join(help_of("train", "--model", "vgg").split())
    assert "(default: digits)" in help_of("train", "--data", "digits")


def test_the_general_help_lists_commands_examples_and_exit_codes(capsys) -> None:
    assert command.main([]) == 0
    told = capsys.readouterr().out
    for name in command.COMMANDS:
        assert f"\n    {name} " in told
        assert f"python -m gnlib {name}" in told or name == "data"
    for code in ("0    finished", "1    an error", "2    the command", "3    stopped", "4    diverged", "130"):
        assert f"\n  {code}" in told


def test_the_examples_in_the_help_can_be_typed() -> None:
    told = "".join([options.GENERAL, *options.EXAMPLES.values()])
    lines = [line.strip().split("  ")[0] for line in told.splitlines() if line.strip().startswith(options.ME)]
    assert len(lines) > 10
    for line in lines:
        parsed, unknown = options.make_parser().parse_known_args(shlex.split(line)[3:])
        assert unknown == []
        assert parsed.command in command.COMMANDS


def test_the_version_is_told(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("gnlib-book ")


# ------------------------------------------------------------------------------------------------------ how a run ends


def test_every_setting_that_is_typed_arrives_in_the_run(no_data: None, capsys) -> None:
    typed = {
        "norm": "ghost:5", "model": "resnet8", "seed": "3", "train_images": "500", "held_out": "100", "epochs": "2",
        "batch_size": "50", "accumulate": "5", "optimizer": "adam", "lr": "0.01", "lr_images": "10", "momentum": "0.5",
        "weight_decay": "0.1", "warmup": "0.5", "schedule": "linear", "label_smoothing": "0.1", "crop": "2",
        "gamma": "0.5", "precision": "bfloat16", "compile": "reduce-overhead",
    }  # fmt: skip
    turned = ["--no-decay-norm", "--no-flip", "--no-zero-gamma", "--weight-standardization", "--no-channels-last",
              "--test-flips"]  # fmt: skip
    given = [word for name, value in typed.items() for word in (f"--{name.replace('_', '-')}", value)]
    assert command.main(["train", *given, *turned, "--dry-run", "--json"]) == 0
    config = json.loads(capsys.readouterr().out)["config"]
    for name, value in typed.items():
        assert type(config[name])(value) == config[name]
        assert config[name] != Config.of().flat()[name]
    names = [word.removeprefix("--").removeprefix("no-").replace("-", "_") for word in turned]
    assert [config[name] for name in names] == [False, False, False, True, False, True]
    assert set(config) == {*typed, *names, "data"}


def test_the_precision_is_the_devices_best_unless_it_is_named(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(runs, "best_precision", lambda device: "bfloat16")
    for given, expected in (([], "bfloat16"), (["auto"], "bfloat16"), (["float32"], "float32")):
        named = ["--precision", *given] if given else []
        assert command.main(["train", *named, "--dry-run", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["config"]["precision"] == expected


def test_quiet_leaves_the_last_line(capsys) -> None:
    assert command.main([*SHORT, "--quiet"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert len(told.out.splitlines()) == 1
    assert told.out.startswith("Finished: held out")
    assert "flips" not in told.out


def test_test_time_flips_are_told_with_the_result(capsys) -> None:
    assert command.main([*SHORT, "--quiet", "--test-flips"]) == 0
    assert re.search(r"test [\d.]+ % with test-time flips, ", capsys.readouterr().out)


def test_nothing_is_overwritten(capsys) -> None:
    first = Path("runs/digits-batch-batch100-seed0")
    assert command.main([*SHORT, "--quiet"]) == 0
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    assert command.main([*SHORT, "--quiet"]) == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == [first.name, f"{first.name}-2"]
    assert command.main([*SHORT, "--quiet", "--folder", str(first)]) == 0  # the same run
    assert command.main(["resume", "--quiet", str(first)]) == 0
    assert command.main([*SHORT, "--quiet", "--folder", str(first), "--seed", "1"]) == 1
    assert "holds one with seed 0, not 1" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before
    Path("mine").mkdir()
    Path("mine/metrics.jsonl").write_text("precious")
    assert command.main([*SHORT, "--folder", "mine"]) == 1
    assert "a run's folder is empty at first: mine holds metrics.jsonl" in capsys.readouterr().err
    assert Path("mine/metrics.jsonl").read_text() == "precious"


def test_the_command_line_does_not_load_torchs_compiler() -> None:
    source = "import sys, gnlib.cifar.command; sys.exit('torch._dynamo' in sys.modules)"  # as long as torch itself
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0


def test_a_stream_that_is_closed_or_knows_few_letters_ends_no_run() -> None:
    ascii_only = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    told = subprocess.run([*GNLIB, "train", "--help"], capture_output=True, text=True, check=True, env=ascii_only)
    assert "with one ? and ?" in told.stdout
    closed = shlex.join([*GNLIB, *SHORT, "--folder", "closed"]) + " >&-"
    told = subprocess.run(["sh", "-c", closed], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    assert Path("closed/record.json").exists()


def test_a_reader_who_goes_away_at_once_leaves_no_folder() -> None:
    with subprocess.Popen([*GNLIB, *SHORT, "--folder", "new"], stdout=subprocess.PIPE) as process:
        process.stdout.close()
    assert process.returncode == 1
    assert not Path("new").exists()


def test_what_cannot_be_written_is_named_with_a_way_out(capsys) -> None:
    Path("file").touch()
    assert command.main([*SHORT, "--folder", "file/run"]) == 1
    assert capsys.readouterr().err == (
        "file/run cannot be read or written: Not a directory; a folder of your own, on a disk with room, would do\n"
    )


def test_a_diverged_run_has_an_exit_code_of_its_own(capsys) -> None:
    assert command.main([*SHORT, "--norm", "none", "--lr", "1e30", "--json"]) == 4
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == told["record"]["outcome"] == "diverged"
    assert "Diverged at step" in told["message"]
    assert command.main(["resume", Path(told["folder"]).as_posix()]) == 4
    assert re.match(r"This run came to its end before: diverged after \d+ s\. Record: runs/", capsys.readouterr().out)


def test_data_that_is_not_there_leaves_no_folder_behind(tmp_path: Path, capsys) -> None:
    assert command.main(["train", "--json", "--quiet"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out) == {"state": "error", "message": told.err.rstrip("\n")}
    assert f"The data folder {tmp_path / 'nowhere'} is not there." in told.err
    assert list(tmp_path.glob("runs/*")) == []


def test_data_takes_a_folder_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    asked = []

    def load(name: str, folder: Path | None, **settings: object) -> None:
        asked.append((name, folder))
        raise data.DataError("enough")

    monkeypatch.setattr(data, "load", load)
    (tmp_path / "pictures").mkdir()
    for given in (["--data", "pictures"], ["--data-folder", "pictures"]):
        assert command.main(["train", *given]) == 1
    assert command.main(["data", "pictures"]) == 1
    assert asked == [("cifar10", Path("pictures"))] * 3


def test_a_traceback_is_for_those_who_ask(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def fail(*arguments: object, **settings: object) -> None:
        raise KeyError("something of ours")

    monkeypatch.setattr(runs, "run", fail)
    assert command.main(SHORT) == 1
    assert capsys.readouterr().err == "KeyError: 'something of ours' (GNLIB_DEBUG=1 shows where)\n"
    monkeypatch.setenv("GNLIB_DEBUG", "1")
    assert command.main(SHORT) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")  # tensorboard's own
def test_tensorboard_gets_its_files_or_is_missed_before_anything_happens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys
) -> None:
    assert command.main([*SHORT, "--tensorboard", "--folder", "with"]) == 0
    assert len(list(Path("with/tensorboard").glob("events.out.*"))) == 1
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert command.main([*SHORT, "--tensorboard", "--folder", "without"]) == 1
    assert "--tensorboard needs the package tensorboard" in capsys.readouterr().err
    assert not Path("without").exists()


def test_warnings_are_a_line_each_on_stderr(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def warn(*arguments: object) -> dict[str, object]:
        logging.getLogger("gnlib.cifar.checkpoints").warning("Step %d was not saved.", 3)
        raise ValueError("and then this")

    monkeypatch.setattr(doctor, "examine", warn)
    assert command.main(["doctor"]) == 1
    assert capsys.readouterr().err == "Warning: Step 3 was not saved.\nand then this\n"


@pytest.mark.parametrize(
    ("given", "slow"),
    [
        ([], True),
        (["--model", "vgg"], True),
        (["--model", "resnet8"], False),
        (["--train-images", "2000"], False),
        (["--data", "digits"], False),
    ],
)
def test_who_trains_a_large_network_on_a_cpu_is_told_of_a_small_one(given, slow, no_data, capsys) -> None:
    told = "on a CPU this takes hours; --model resnet8 --train-images 2000 takes minutes"
    assert command.main(["train", "--device", "cpu", "--dry-run", *given]) == 0
    assert (f"time           {told}\n" in capsys.readouterr().out) == slow
    assert command.main(["train", "--device", "cpu", "--dry-run", "--json", *given]) == 0
    assert json.loads(capsys.readouterr().out)["advice"] == (told if slow else None)


def test_on_a_gpu_no_hours_are_foretold() -> None:
    assert "hours" not in str(command.Plan(Config.of(), torch.device("cuda"), Path("here")))


# -------------------------------------------------------------------------------------------------------------- resume


def unfinished(folder: str, seconds_ago: float) -> None:
    runs.run(Config.of(data="digits", batch_size=100, epochs=2), Path(folder), device="cpu", stop=lambda: True)
    when = time.time() - seconds_ago
    for path in (Path(folder, "run.json"), Path(folder, "checkpoints")):
        os.utime(path, (when, when))


def test_resume_takes_the_newest_unfinished_run_that_nobody_is_at_work_on(capsys) -> None:
    for folder, seconds_ago in (("runs/old", 900), ("runs/new", 600), ("runs/busy", 300)):
        unfinished(folder, seconds_ago)
    with experiments.alone(Path("runs/busy")):
        assert command.main(["resume", "runs/busy"]) == 1
        assert "another one is at work in runs/busy" in capsys.readouterr().err
        for expected in ("runs/new", "runs/old"):
            assert command.main(["resume", "--json", "--quiet"]) == 0
            assert json.loads(capsys.readouterr().out)["folder"] == expected
        assert command.main(["resume"]) == 1
        assert "there is none: name a run's folder, or begin one with python -m gnlib train" in capsys.readouterr().err


def test_a_run_that_another_process_deletes_meanwhile_is_passed_over(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    unfinished("runs/here", 600)
    found = Path.glob
    gone = Path("runs/gone/run.json")
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [gone] * (str(self) == "runs") + [*found(self, pattern)])
    assert command.main(["resume", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["folder"] == "runs/here"
    assert not gone.parent.exists()


def test_a_finished_run_is_not_run_again(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command.main([*SHORT, "--folder", "done", "--quiet"]) == 0
    first = capsys.readouterr().out.partition(": held out")[2]
    monkeypatch.setattr(data, "load", lambda *arguments, **settings: pytest.fail("the data were touched"))
    assert command.main(["resume", "done"]) == 0
    assert capsys.readouterr().out == f"This run came to its end before: held out{first}"


# ------------------------------------------------------------------------------------------------ sweep, report, others


def test_without_matplotlib_figures_say_what_to_install(tiny: None, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    assert command.main(["sweep", "tiny", "--device", "cpu", "--quiet"]) == 0
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)

    class Without:
        @staticmethod
        def find_spec(name: str, *more: object) -> None:
            if name.partition(".")[0] == "matplotlib":
                raise ModuleNotFoundError(f"No module named {name!r}", name="matplotlib")

    monkeypatch.setattr(sys, "meta_path", [Without, *sys.meta_path])
    capsys.readouterr()
    assert command.main(["report", "tiny", "--figures", "figures"]) == 1
    assert capsys.readouterr().err == "this needs matplotlib, which is not installed: pip install matplotlib\n"


def test_a_sweep_is_stopped_goes_on_and_is_reported(tiny: None, capsys) -> None:
    assert command.main(["sweep", "tiny", "--device", "cpu", "--seconds", "0"]) == 3
    told = capsys.readouterr().out
    assert told == (
        "tiny: 2 runs, 0 of them recorded before\n"
        "Stopped: 0 runs made, 0 recorded before, 2 left; results/tiny.jsonl. "
        "To go on: python -m gnlib sweep tiny --device cpu --seconds 0\n"
    )
    with pytest.raises(SystemExit, match="2"):
        command.main(["sweep", "tiny", "--seconds", "nan"])
    assert "argument --seconds: must be a number from 0 on: got 'nan'" in capsys.readouterr().err
    assert command.main(["sweep", "tiny", "--device", "cpu"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "tiny: 2 runs, 0 of them recorded before"
    assert [told[1], told[3]] == ["1/2  batch  begins", "2/2  group:4  begins"]  # in a log file, of which this is one
    assert [line.split("  ")[:2] for line in (told[2], told[4])] == [["1/2", "batch"], ["2/2", "group:4"]]
    assert told[5] == "2 runs made, 0 recorded before, 0 left; results/tiny.jsonl"
    assert command.main(["sweep", "tiny", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["state"], answer["finished"], answer["recorded"], answer["left"]) == ("finished", 0, 2, 0)
    assert command.main(["sweep", "tiny", "--list"]) == 0
    assert capsys.readouterr().out == "1  recorded  batch\n2  recorded  group:4\n"

    assert command.main(["report", "tiny", "--figures", "figures"]) == 0
    told = capsys.readouterr()
    assert "BatchNorm" in told.out
    assert "(one run)" in told.out
    assert told.err == "figures/tiny.svg\n"
    assert Path("figures/tiny.svg").read_text().startswith("<?xml")
    assert command.main(["report", "--json"]) == 0
    assert [report["experiment"] for report in json.loads(capsys.readouterr().out)["reports"]] == ["tiny"]


def test_a_report_says_whose_records_it_tells(tiny: None, tmp_path: Path, monkeypatch, capsys) -> None:
    assert command.main(["sweep", "tiny", "--device", "cpu", "--quiet"]) == 0
    assert command.main(["report"]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(records, "shipped", lambda: tmp_path / "results")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert command.main(["report"]) == 0
    assert (
        capsys.readouterr().err == "There is no folder results here: these are the records that come with the book.\n"
    )


@pytest.mark.parametrize("name", ["batch-size", "groups", "ghost", "speedrun", "origin"])
def test_every_experiment_has_its_figure(name: str, tmp_path: Path, tiny: None) -> None:
    command.main(["sweep", "tiny", "--device", "cpu", "--quiet"])
    (tmp_path / f"results/{name}.jsonl").write_bytes((tmp_path / "results/tiny.jsonl").read_bytes())
    assert command.main(["report", name, "--figures", "."]) == 0
    assert (tmp_path / f"{name}.svg").exists()


def test_the_sweeps_are_listed_with_their_questions(capsys) -> None:
    assert command.main(["sweep"]) == 0
    told = capsys.readouterr().out
    for name, sweep in SWEEPS.items():
        assert f"{name:11} {sweep.question}\n" in told
    assert command.main(["sweep", "batch-size", "--reduced", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == len(SWEEPS["batch-size"].reduced) == len({line.partition("waiting")[2] for line in listed})
    assert command.main(["sweep", "nothing"]) == 1
    assert command.main(["report", "nothing"]) == 1
    assert "python -m gnlib sweep makes them" in capsys.readouterr().err


def test_the_data_are_described(capsys) -> None:
    assert command.main(["data", "digits", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["train"], facts["held_out"], facts["test"]) == (1000, 297, 500)
    assert command.main(["data", "digits"]) == 0
    told = capsys.readouterr().out
    assert facts["fingerprint"] in told
    assert "1,000 to train on, 297 held out, 500 for the test" in told
    assert command.main(["data", "--offline"]) == 1


def test_the_doctor_says_what_is_here_and_what_to_do(capsys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert command.main(["doctor", "--json", "--device", "cpu"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ready"]
    assert found["device"]["name"] == "cpu"
    assert found["packages"]["torch"]
    assert found["problems"] == [
        f"{tmp_path / 'nowhere'} does not hold CIFAR-10: `python -m gnlib data` says what is missing there."
    ]
    assert found["next"][0] == "python -m gnlib train --data digits --norm group:8"
    monkeypatch.setattr(doctor, "_version", lambda package: None)
    monkeypatch.setattr(os, "access", lambda *arguments: False)
    assert command.main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "cannot be written: change to a folder of your own." in " ".join(told.split())
    assert "  pip install scikit-learn\n" in told


def test_the_doctors_advice_can_be_typed() -> None:
    for cifar10, digits, on_gpu in ((a, b, c) for a in (False, True) for b in (False, True) for c in (False, True)):
        for line in doctor._next(cifar10, digits, on_gpu):
            if line.startswith(options.ME):
                parsed, unknown = options.make_parser().parse_known_args(line.split()[3:])
                assert (parsed.command in command.COMMANDS, unknown) == (True, [])
                if parsed.command == "train":
                    assert command.main([*line.split()[3:], "--dry-run", "--device", "cpu"]) == 0


def test_without_its_packages_it_says_which_to_install(tmp_path: Path) -> None:
    (tmp_path / "safetensors.py").write_text("raise ModuleNotFoundError(name='safetensors')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([*GNLIB, "doctor"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("python -m gnlib needs safetensors, which is not installed: pip install")
