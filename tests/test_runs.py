"""One run: its configuration, its folder, its record; and a kill -9 in the middle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from gnlib import records
from gnlib.cifar import checkpoints, data, models, runs
from gnlib.cifar.runs import Config, best_precision, build, pick_device, read_run, rehearse, resume, run
from gnlib.cifar.training import Progress

DIGITS = Config.of(data="digits", norm="group:4", epochs=2, batch_size=50)


def test_settings_go_where_they_belong_and_the_rest_is_the_models_default():
    config = Config.of(model="vgg", norm="layer", lr=0.5, seed=3)
    assert (config.norm, config.seed, config.recipe.lr) == ("layer", 3, 0.5)
    assert (config.recipe.optimizer, config.recipe.batch_size) == ("adam", 64)
    assert Config.of(data="digits").model == "digits"
    assert Config.of(data="digits").recipe.flip is False
    assert Config.of().model == "resnet9"


def test_a_short_run_has_a_short_warmup():
    assert Config.of(epochs=2).recipe.warmup == pytest.approx(0.4)
    assert Config.of(epochs=50).recipe.warmup == 1.0
    assert Config.of(epochs=2, warmup=2.0).recipe.warmup == 2.0


def test_an_unknown_setting_is_named_with_those_there_are():
    with pytest.raises(
        TypeError, match=r"settings are accumulate, .*weight_standardization, zero_gamma: got batchsize"
    ):
        Config.of(batchsize=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm": "group:7"}, "group:7 must divide the channels of every layer: resnet9"),
        ({"norm": "ghost:3"}, "ghost:3 must divide the images that a layer sees at once: got 128"),
        ({"norm": "ghost:64", "accumulate": 4}, "got 32; ghost:K with K ="),
        ({"model": "resnet"}, "model must be one of"),
        ({"data": "cifar100"}, "data must be cifar10 or digits: got 'cifar100'"),
        ({"data": "digits", "model": "vgg"}, r"vgg cannot take images of shape \(1, 8, 8\)"),
        ({"seed": -1}, r"seed must be a whole number from 0 on and below 2\*\*64: got -1"),
        ({"seed": 2**64}, "got 18446744073709551616"),
        ({"gamma": float("nan")}, "gamma must be a finite number: got nan; 1 would do"),
        ({"crop": 32}, "crop must be 0 to 31, less than an image's side: got 32; 4 would do"),
    ],
)
def test_what_cannot_work_is_refused_before_any_data_is_touched(settings, message, monkeypatch):
    monkeypatch.setattr(data, "load", lambda *arguments, **settings: pytest.fail("the data were touched"))
    with pytest.raises(ValueError, match=message):
        run(Config.of(**settings), Path("nowhere"))
    assert not Path("nowhere").exists()


def test_the_rehearsal_refuses_what_a_layer_refuses():
    with pytest.raises(ValueError, match="a channel must hold more than one value in the batch"):
        rehearse(Config.of(data="digits", norm="batch", batch_size=1))


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"norm": "batch", "batch_size": 2}, 2),  # 2 images of 1 × 1
        ({"norm": "batch", "batch_size": 2, "model": "digits-2x2"}, 8),
        ({"norm": "ghost:2", "batch_size": 32}, 2),
        ({"norm": "group:8", "batch_size": 2}, 8),  # 64 / 8 channels of 1 × 1
        ({"norm": "batch", "batch_size": 32, "accumulate": 8}, 4),
        ({"norm": "none"}, None),
    ],
)
def test_the_rehearsal_counts_the_fewest_values_behind_a_statistic(settings, values):
    assert rehearse(Config.of(data="digits", **settings)) == values


def test_a_configuration_survives_its_record():
    assert Config.of(**json.loads(json.dumps(DIGITS.flat()))) == DIGITS
    odd = Config.of(model="vgg", norm="ghost:4", warmup=0.3, label_smoothing=0.1, weight_standardization=True)
    assert Config.of(**odd.flat()) == odd


def test_the_seed_decides_the_initial_weights():
    one, same, other = (build(replace(DIGITS, seed=seed), 1, 10).scores.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_options_of_the_network_arrive_there():
    config = Config.of(model="resnet8", norm="group:4", gamma=0.5, weight_standardization=True)
    model = build(config, 3, 10)
    assert model.blocks[0].norm1.weight.unique().tolist() == [0.5]
    assert model.blocks[0].norm2.weight.unique().tolist() == [0.0]
    assert torch.nn.utils.parametrize.is_parametrized(model.stem[0], "weight")
    plain = build(replace(config, zero_gamma=False, weight_standardization=False), 3, 10)
    assert plain.blocks[0].norm2.weight.unique().tolist() == [0.5]
    assert not torch.nn.utils.parametrize.is_parametrized(plain.stem[0])


def test_a_whitened_network_is_whitened_by_its_own_images(tmp_path, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 3, 32, 32), generator=generator, dtype=torch.uint8)
    split = data.Split(images, torch.arange(60) % 10)
    tiny = replace(
        data.load("digits"), name="cifar10", train=split, held_out=split, test=split, mean=(1, 2, 3), std=(4, 5, 6)
    )
    seen = []
    monkeypatch.setattr(models.ResNet9, "whiten", lambda self, images: seen.append(images))
    run(Config.of(model="resnet9-whitened", epochs=1, batch_size=60), tmp_path, dataset=tiny, device="cpu")
    expected = (images.float() - torch.tensor([1, 2, 3]).view(3, 1, 1)) / torch.tensor([4, 5, 6]).view(3, 1, 1)
    torch.testing.assert_close(seen[0].float(), expected)


def test_a_run_leaves_its_whole_story_in_its_folder(tmp_path):
    told: list[Progress] = []
    outcome, record = run(DIGITS, tmp_path / "run", experiment="batch-size", device="cpu", watch=told.append)
    assert outcome.state == "finished"
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checkpoints", "metrics.jsonl", "record.json", "run.json",
    ]  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines == outcome.history
    assert records.Record.from_json((tmp_path / "run" / "record.json").read_text()) == record
    assert record.config == DIGITS.flat()
    assert record.results["test_accuracy"] == outcome.test_accuracy
    assert record.results["held_out_accuracy"] == outcome.history[-1]["held_out_accuracy"]
    assert record.results["values_per_statistic"] == 16  # 64 / 4 channels of 1 × 1
    assert record.results["history"] == outcome.history
    assert record.data == {
        "name": "digits", "fingerprint": data.load("digits").fingerprint, "train": 1000, "held_out": 297, "test": 500,
    }  # fmt: skip
    assert (record.experiment, record.outcome, record.machine["device"]) == ("batch-size", "finished", "cpu")
    assert record.seconds == outcome.seconds
    assert told[-1].epoch_ended


def test_a_diverged_run_is_recorded_as_one(tmp_path):
    outcome, record = run(Config.of(data="digits", norm="none", lr=1e30, epochs=1), tmp_path, device="cpu")
    assert outcome.state == record.outcome == "diverged"
    assert record.results["test_accuracy"] is None


def test_metrics_are_json_also_where_there_is_no_number(tmp_path):
    config = Config.of(data="digits", batch_size=1000, lr=1e30, lr_images=0, epochs=1)
    outcome, record = run(config, tmp_path, device="cpu")
    assert (outcome.state, record.outcome) == ("diverged", "diverged")  # by its last step
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    told = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert told["held_out_loss"] is None


def test_metrics_that_cannot_be_written_do_not_end_the_run(tmp_path, caplog):
    (tmp_path / "run").mkdir()
    run(DIGITS, tmp_path / "run", device="cpu", stop=lambda: True)
    (tmp_path / "run" / "metrics.jsonl").mkdir()
    outcome, record = resume(tmp_path / "run", device="cpu")
    assert (outcome.state, record.outcome) == ("finished", "finished")
    assert "metrics.jsonl was not written" in caplog.text


def test_a_damaged_record_is_named_and_can_be_made_again(tmp_path):
    _, record = run(DIGITS, tmp_path, device="cpu")
    (tmp_path / "record.json").write_text("")
    with pytest.raises(ValueError, match=r"record.json is no record .*; delete it, and resume writes it again"):
        resume(tmp_path, device="cpu")
    (tmp_path / "record.json").unlink()
    assert resume(tmp_path, device="cpu")[1].results == record.results


def test_a_record_names_the_code_that_the_process_began_with(tmp_path, monkeypatch):
    runs._code.cache_clear()
    code = [records.Provenance("a" * 40, False)]
    monkeypatch.setattr(records, "provenance", lambda: code[0])
    commits = []
    for seed in (0, 1):
        config = Config.of(data="digits", batch_size=500, epochs=1, seed=seed)

        def commit(progress: Progress) -> None:
            code[0] = records.Provenance("b" * 40, True)

        commits.append(run(config, tmp_path / str(seed), device="cpu", watch=commit)[1].commit)
    runs._code.cache_clear()
    assert commits == ["a" * 40] * 2


def test_a_stopped_run_has_no_record_and_goes_on(tmp_path):
    at_once, whole = run(DIGITS, tmp_path / "whole", device="cpu")
    outcome, record = run(DIGITS, tmp_path / "parts", experiment="ghost", device="cpu", stop=lambda: True)
    assert (outcome.state, record) == ("stopped", None)
    assert not (tmp_path / "parts" / "record.json").exists()
    outcome, record = resume(tmp_path / "parts", device="cpu")
    assert outcome.test_loss == at_once.test_loss
    assert record.experiment == "ghost"
    assert record.results["history"][1]["train_loss"] == whole.results["history"][1]["train_loss"]


def test_a_folder_of_another_run_is_refused(tmp_path):
    run(DIGITS, tmp_path, device="cpu", stop=lambda: True)
    with pytest.raises(
        ValueError, match=r"holds one with seed 0, not 5, batch_size 50, not 100; another folder would do"
    ):
        run(Config.of(data="digits", norm="group:4", epochs=2, batch_size=100, seed=5), tmp_path)


@pytest.mark.parametrize(
    "content", [None, "{", "{}", '{"config": {"nrom": "batch"}, "experiment": "a", "data_folder": null}']
)
def test_a_folder_that_holds_no_run_says_so(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(ValueError, match=r"a run's folder holds a run.json|is no run of this version"):
        resume(tmp_path)


def test_the_datas_folder_is_remembered(tmp_path, monkeypatch):
    asked = []

    def load(name, folder, **settings):
        asked.append(folder)
        raise data.DataError("not there")

    monkeypatch.setattr(data, "load", load)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(data.DataError):
        run(Config.of(), tmp_path / "run", data_folder="pictures")
    with pytest.raises(data.DataError):
        resume(tmp_path / "run")
    assert asked == ["pictures", str(tmp_path / "pictures")]
    assert read_run(tmp_path / "run")[0] == Config.of()


def test_a_run_stays_its_experiments_whoever_goes_on_with_it(tmp_path):
    run(DIGITS, tmp_path, experiment="ghost", device="cpu", stop=lambda: True)
    assert run(DIGITS, tmp_path, device="cpu")[1].experiment == "ghost"  # as from a notebook


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="device must be auto, cpu, or a GPU that is here: got 'qpu'"):
        pick_device("qpu")
    with pytest.raises(ValueError, match=r"got 'meta' \(only cpu, cuda and mps are trained on\)"):
        pick_device("meta")  # torch has it, and it computes nothing
    assert pick_device("cpu") == torch.device("cpu")
    assert best_precision(torch.device("cpu")) == "float32"


def test_killed_in_mid_run_it_goes_on_to_bitwise_the_same_result(tmp_path):
    """Kill -9, twice, at moments nobody chose; the run that is taken up ends as the run that was left alone."""
    source = textwrap.dedent("""
        import sys, torch
        from pathlib import Path
        from gnlib.cifar.runs import Config, run
        torch.set_num_threads(1)
        config = Config.of(data="digits", norm="batch", batch_size=20, epochs=6)
        outcome, _ = run(config, Path(sys.argv[1]), device="cpu", watch=lambda p: print(p.step, flush=True))
        print(outcome.state, outcome.test_loss, flush=True)
    """)

    def start(folder: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-c", source, str(tmp_path / folder)], stdout=subprocess.PIPE, text=True, env=environment
        )

    with start("whole") as process:
        alone = process.stdout.read().splitlines()
    for reports in (8, 10):  # of 16 steps or an epoch's end
        with start("killed") as process:
            for _ in range(reports):
                process.stdout.readline()
            process.kill()
    with start("killed") as process:
        last = process.stdout.read().splitlines()
    assert int(last[0]) > 16  # it did go on
    assert last[-1] == alone[-1]
    one, other = (checkpoints.load(tmp_path / folder / "checkpoints") for folder in ("whole", "killed"))
    assert one.step == other.step == 300
    assert all(torch.equal(value, other.weights[name]) for name, value in one.weights.items())


def test_the_metrics_of_a_killed_run_are_made_good(tmp_path):
    run(DIGITS, tmp_path, device="cpu", stop=lambda: True)
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1, "torn')
    outcome, _ = resume(tmp_path, device="cpu")
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == outcome.history


def test_the_layers_that_are_trained_are_the_books_own():
    kinds = {type(module) for module in build(DIGITS, 1, 10).modules() if "norm" in type(module).__name__.lower()}
    assert [kind.__module__ for kind in kinds] == ["gnlib.layers"]
    assert not any(issubclass(kind, nn.GroupNorm) for kind in kinds)
    assert runs.Config is Config


@pytest.mark.parametrize("which", ["fingerprint", "train"])
def test_a_run_does_not_go_on_with_other_data(tmp_path, which):
    digits = data.load("digits")
    seen = []
    run(DIGITS, tmp_path, device="cpu", watch=seen.append, stop=lambda: len(seen) > 1)
    fewer = data.Split(digits.train.images[:990], digits.train.labels[:990])
    other = replace(digits, **{"fingerprint": f"sha256:{'0' * 64}"} if which == "fingerprint" else {"train": fewer})
    began = f"began with 1,000 and 297 held-out images of {digits.fingerprint[:15]}"
    got = {
        "fingerprint": "got 1,000 and 297 held-out images of sha256:00000000",
        "train": f"got 990 and 297 held-out images of {digits.fingerprint[:15]}",
    }[which]
    with pytest.raises(ValueError, match=f"{got}, and .* {began}; those data, or another folder, would do"):
        run(DIGITS, tmp_path, device="cpu", dataset=other)
    assert run(DIGITS, tmp_path, device="cpu")[0].state == "finished"


def test_a_checkpoint_that_does_not_know_its_data_is_taken(tmp_path, monkeypatch):
    seen, save = [], checkpoints.save

    def as_before(folder, step, model, trainer, score):
        return save(folder, step, model, {name: value for name, value in trainer.items() if name != "data"}, score)

    monkeypatch.setattr(checkpoints, "save", as_before)
    run(DIGITS, tmp_path, device="cpu", watch=seen.append, stop=lambda: len(seen) > 1)
    assert run(DIGITS, tmp_path, device="cpu")[0].state == "finished"
