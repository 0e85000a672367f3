"""The loop: it learns, it can be stopped anywhere and goes on bit for bit, and it says what went wrong."""

from __future__ import annotations

import copy
import json
import logging
import os
import signal
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from gnlib.cifar import checkpoints, data, models, training
from gnlib.cifar.training import OutOfMemoryError, Recipe, learning_rate, make_optimizer, train

RECIPE = Recipe(epochs=2, batch_size=50, lr=0.1, lr_images=50, warmup=0.5, flip=False, crop=1)  # 20 steps an epoch


@pytest.fixture(autouse=True)
def _looks_come_by_steps_alone(monkeypatch):
    monkeypatch.setattr(training, "PATIENCE", float("inf"))


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits")


def network(norm=nn.BatchNorm2d, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return models.DigitsNet(norm, stages=3)


def without_seconds(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in history]


def stop_at(step: int):
    """Make a watcher and a stop that together end a run at the first look from a step on."""
    seen = [0]
    return {"watch": lambda progress: seen.append(progress.step), "stop": lambda: seen[-1] >= step}


def test_it_learns_and_tells_the_whole_story(digits, tmp_path):
    told = []
    outcome = train(network(), digits, replace(RECIPE, epochs=3), folder=tmp_path, watch=told.append)
    assert outcome.state == "finished"
    assert outcome.step == 60
    assert outcome.test_accuracy > 0.9
    assert outcome.test_loss < 0.5
    assert [entry["epoch"] for entry in outcome.history] == [1, 2, 3]
    assert outcome.history[-1]["held_out_accuracy"] > 0.9
    assert outcome.history[-1]["train_loss"] < outcome.history[0]["train_loss"]
    assert 0 < outcome.history[0]["seconds"] < outcome.history[-1]["seconds"] <= outcome.seconds
    assert [progress.step for progress in told] == [16, 20, 20, 32, 40, 40, 48, 60, 60]
    assert [progress.step for progress in told if progress.epoch_ended] == [20, 40, 60]
    assert [progress.epoch for progress in told] == [0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert told[-1].train_loss == outcome.history[-1]["train_loss"]
    assert all(progress.images_per_second > 0 and progress.steps == 60 for progress in told)


def test_a_slow_run_is_looked_at_by_the_clock(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "PATIENCE", 0.0)
    told = []
    train(network(), digits, replace(RECIPE, epochs=1), folder=tmp_path, watch=told.append)
    assert [progress.step for progress in told] == [*range(1, 21), 20]


def test_the_loss_that_is_told_is_the_mean_over_the_epoch(digits, tmp_path):
    told = []
    train(network(), digits, replace(RECIPE, epochs=1, lr=0.0), folder=tmp_path, watch=told.append)
    model = network().train()
    losses = []
    for images, labels in data.batches(digits.train, 50, seed=0, epoch=0, flip=False, crop=1):
        inputs = data.standardize(images, digits.mean, digits.std, torch.float32, True)
        losses.append(functional.cross_entropy(model(inputs), labels).item())
    assert told[0].train_loss == pytest.approx(sum(losses[:16]) / 16, rel=1e-5)
    assert told[-1].train_loss == pytest.approx(sum(losses) / 20, rel=1e-5)


@pytest.mark.parametrize("recipe", [RECIPE, replace(RECIPE, optimizer="adam", lr=1e-3), replace(RECIPE, accumulate=2)])
@pytest.mark.parametrize("step", [16, 20, 32])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(digits, tmp_path, recipe, step):
    whole, parts = network(), network()
    at_once = train(whole, digits, recipe, folder=tmp_path / "whole")
    first = train(parts, digits, recipe, folder=tmp_path / "parts", **stop_at(step))
    assert (first.state, first.step, first.test_accuracy) == ("stopped", step, None)
    fresh = network(seed=99)  # all comes from the checkpoint
    second = train(fresh, digits, recipe, folder=tmp_path / "parts")
    assert second.state == "finished"
    for one, other in zip(whole.state_dict().values(), fresh.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert without_seconds(second.history) == without_seconds(at_once.history)
    assert (second.test_loss, second.test_accuracy) == (at_once.test_loss, at_once.test_accuracy)
    assert second.seconds > first.seconds


def test_ctrl_c_finishes_the_step_saves_and_says_where(digits, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    outcome = train(
        network(), digits, RECIPE, folder=tmp_path,
        watch=lambda progress: os.kill(os.getpid(), signal.SIGINT) if progress.step == 16 else None,
    )  # fmt: skip
    assert outcome.message == "Stopped after step 16 of 40."
    assert checkpoints.load(tmp_path).step == 16
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_between_two_looks_is_heard_at_the_next_step(digits, tmp_path):
    class Impatient(models.DigitsNet):
        calls = 0

        def forward(self, x):
            self.calls += 1
            if self.calls == 5:
                os.kill(os.getpid(), signal.SIGINT)
            return super().forward(x)

    outcome = train(Impatient(nn.BatchNorm2d, stages=3), digits, RECIPE, folder=tmp_path)
    assert (outcome.state, outcome.step) == ("stopped", 5)
    assert checkpoints.load(tmp_path).step == 5


def test_a_second_ctrl_c_interrupts_at_once(digits, tmp_path):
    before = signal.getsignal(signal.SIGINT)

    def twice(progress):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(network(), digits, RECIPE, folder=tmp_path, watch=twice)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_wish_to_stop_at_the_end_of_the_last_epoch_is_no_stop(digits, tmp_path):
    assert train(network(), digits, RECIPE, folder=tmp_path, **stop_at(40)).state == "finished"


def test_a_damaged_last_checkpoint_costs_an_epoch_and_not_the_run(digits, tmp_path, caplog):
    whole, parts = network(), network()
    train(whole, digits, RECIPE, folder=tmp_path / "whole")
    train(parts, digits, RECIPE, folder=tmp_path / "parts", **stop_at(32))
    (tmp_path / "parts" / "step-00000032" / checkpoints.WEIGHTS).write_bytes(b"torn")
    fresh = network(seed=99)
    with caplog.at_level(logging.WARNING):
        assert train(fresh, digits, RECIPE, folder=tmp_path / "parts").state == "finished"
    assert "step-00000032 is damaged" in caplog.text
    assert all(map(torch.equal, whole.state_dict().values(), fresh.state_dict().values()))


def test_the_test_split_is_read_once_and_at_the_end(digits, tmp_path):
    reads = []

    class Watched(data.Dataset):
        def __getattribute__(self, name):
            if name == "test":
                reads.append(len(told))
            return super().__getattribute__(name)

    told = []
    watched = Watched(**{field: getattr(digits, field) for field in digits.__dataclass_fields__})
    reads.clear()
    train(network(), watched, RECIPE, folder=tmp_path, watch=told.append)
    assert reads == [len(told)]


# ------------------------------------------------------------------------------------------------- what can go wrong


class Spoiler(nn.Module):
    """Passes numbers on until one is large."""

    def forward(self, x):
        return x * float("nan") if x.abs().amax() > 50 else x


class Kink(nn.Module):
    """Passes numbers on, and has no gradient."""

    def forward(self, x):
        return x + (x - x).sqrt()


def test_a_diverging_run_stops_with_the_step_and_the_first_module_that_gave_no_number(digits, tmp_path, monkeypatch):
    def spoilt():
        torch.manual_seed(0)
        net = models.DigitsNet(lambda channels: nn.Identity(), stages=3)
        net.features.insert(4, Spoiler())
        return net

    recipe = replace(RECIPE, lr=3.0, warmup=2.0)
    said = {}
    for check in (16, 1):  # looked at after every step there is nothing to find out
        monkeypatch.setattr(training, "CHECK", check)
        outcome = train(spoilt(), digits, recipe, folder=tmp_path / str(check))
        said[check] = outcome.message
        assert outcome.state == "diverged"
        assert outcome.test_accuracy is None
    assert said[16] == said[1]
    assert "the first output that is no number came from features.4 (Spoiler)" in said[1]
    step = int(said[1].split("step ")[1].split(":")[0])
    assert 1 < step < 40
    assert step % 16
    assert "A lower lr" in said[1]


def test_weights_that_are_no_numbers_already_are_named(digits, tmp_path):
    net = network(lambda channels: nn.Identity())
    net.features.insert(1, Kink())
    outcome = train(net, digits, RECIPE, folder=tmp_path)
    assert outcome.state == "diverged"
    assert "at step 2" in outcome.message
    assert "came from features.0 (Conv2d), whose weights were no numbers already" in outcome.message


def test_the_model_of_a_diverged_run_is_left_at_its_last_good_moment(digits, tmp_path):
    net = network(lambda channels: nn.Identity())
    train(net, digits, replace(RECIPE, lr=1e30, warmup=0.0), folder=tmp_path)
    assert all(parameter.isfinite().all() for parameter in net.parameters())


def test_a_last_step_that_spoils_the_network_is_a_divergence_too(digits, tmp_path):
    recipe = replace(RECIPE, epochs=1, batch_size=1000, lr=1e30, warmup=0.0)
    outcome = train(network(), digits, recipe, folder=tmp_path)
    assert outcome.state == "diverged"
    assert "Diverged by step 1: the loss of the test images is no number. A lower lr" in outcome.message
    assert outcome.test_accuracy is None


class Hungry(models.DigitsNet):
    """Has memory for so many images at once."""

    def __init__(self, room: int) -> None:
        super().__init__(nn.BatchNorm2d, stages=3)
        self.room = room

    def forward(self, x):
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return super().forward(x)


def test_a_batch_that_does_not_fit_is_told_what_would(digits, tmp_path):
    with pytest.raises(
        OutOfMemoryError,
        match=r"50 images at once must fit into the memory of cpu, and they do not: 12 would. batch_size=12 would do; "
        r"or accumulate=5, which keeps 50 images a step but shows a norm layer 10 at once",
    ):
        train(Hungry(20), digits, RECIPE, folder=tmp_path)
    assert train(Hungry(10), digits, replace(RECIPE, accumulate=5, epochs=1), folder=tmp_path).step == 20


def test_what_a_batch_that_did_not_fit_had_in_memory_is_free_when_smaller_ones_are_tried(digits, tmp_path):
    held: list[weakref.ref[Activation]] = []

    class Activation:
        pass

    class Forgetful(Hungry):
        def forward(self, x):
            assert all(kept() is None for kept in held)
            activation = Activation()
            held.append(weakref.ref(activation))
            return super().forward(x)

    with pytest.raises(OutOfMemoryError, match="12 would"):
        train(Forgetful(20), digits, RECIPE, folder=tmp_path)
    assert len(held) == 3  # of 50, 25 and 12 images


def test_where_not_even_one_image_fits_a_smaller_model_is_advised(digits, tmp_path):
    with pytest.raises(OutOfMemoryError, match="Not one image fits into the memory of cpu; a smaller model would"):
        train(Hungry(0), digits, RECIPE, folder=tmp_path)


def test_another_fault_of_the_model_is_not_taken_for_a_lack_of_memory(digits, tmp_path):
    with pytest.raises(RuntimeError, match="expected input"):
        train(models.DigitsNet(nn.BatchNorm2d, channels=3), digits, RECIPE, folder=tmp_path)


def test_a_batch_larger_than_the_training_split_is_refused(digits, tmp_path):
    with pytest.raises(ValueError, match="got batch_size=2000 and 1000 images"):
        train(network(), digits, replace(RECIPE, batch_size=2000), folder=tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "sdg"}, "optimizer must be one of 'sgd', 'adam': got 'sdg'"),
        ({"epochs": 2.5}, "epochs must be a whole number from 1 on: got 2.5"),
        ({"epochs": 0}, "epochs must be a whole number from 1 on: got 0"),
        ({"lr": -1.0}, "lr must be a number from 0 on: got -1.0"),
        ({"lr": float("nan")}, "lr must be a number from 0 on: got nan"),
        ({"momentum": 1.0}, "momentum must be a number from 0 on and below 1: got 1.0"),
        ({"warmup": 20.0}, "warmup must lie between 0 and the 10 epochs: got 20.0"),
        ({"batch_size": 6, "accumulate": 4}, "got a batch of 6 images and accumulate=4; 1, 2, 3 or 6 would do"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(settings, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Recipe(**settings)


# -------------------------------------------------------------------------------------------------- what it computes


def test_the_learning_rate_follows_the_batch_rises_and_falls():
    recipe = Recipe(epochs=10, batch_size=256, lr=0.1, lr_images=128, warmup=2.0, schedule="cosine")
    rates = [learning_rate(recipe, step, 100) for step in range(1000)]
    assert max(rates) == pytest.approx(0.2)
    assert rates.index(max(rates)) == 200
    assert rates[0] == pytest.approx(0.2 / 201)
    assert rates == sorted(rates[:200]) + sorted(rates[200:], reverse=True)
    assert rates[600] == pytest.approx(0.1)  # half-way down
    assert rates[-1] == pytest.approx(0, abs=1e-5)
    linear = [learning_rate(replace(recipe, schedule="linear"), step, 100) for step in range(1000)]
    assert linear[400] == pytest.approx(0.15)
    assert learning_rate(replace(recipe, schedule="constant"), 999, 100) == pytest.approx(0.2)
    assert learning_rate(replace(recipe, lr_images=0), 200, 100) == pytest.approx(0.1)


def test_a_step_is_that_of_torchs_optimizer_on_the_mean_loss(digits, tmp_path):
    recipe = replace(RECIPE, epochs=1, batch_size=1000, warmup=0.0, schedule="constant", label_smoothing=0.1)
    recipe = replace(recipe, lr_images=500, crop=0)
    ours, theirs = network(), network()
    train(ours, digits, recipe, folder=tmp_path)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.2, momentum=0.9, weight_decay=5e-4, nesterov=True)
    inputs = data.standardize(digits.train.images, digits.mean, digits.std, torch.float32, False)
    functional.cross_entropy(theirs.train()(inputs), digits.train.labels, label_smoothing=0.1).backward()
    optimizer.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("norm", "alike"), [(lambda channels: nn.GroupNorm(4, channels), True), (nn.BatchNorm2d, False)]
)
def test_accumulation_changes_nothing_but_what_batch_norm_sees(digits, tmp_path, norm, alike):
    results = []
    for parts in (1, 5):
        net = network(norm)
        train(net, digits, replace(RECIPE, epochs=1, accumulate=parts), folder=tmp_path / str(parts))
        results.append(torch.cat([parameter.detach().flatten() for parameter in net.parameters()]))
    assert torch.allclose(*results, atol=1e-4) is alike


@pytest.mark.parametrize("decay", [True, False])
def test_gamma_and_beta_decay_only_if_they_should(decay):
    groups = make_optimizer(network(), replace(RECIPE, decay_norm=decay, weight_decay=0.01)).param_groups
    assert [group["weight_decay"] for group in groups] == [0.01, 0.01 if decay else 0.0]
    assert all(parameter.dim() > 1 for parameter in groups[0]["params"])
    assert all(parameter.dim() == 1 for parameter in groups[1]["params"])


def test_frozen_parameters_are_left_alone(digits, tmp_path):
    net = network()
    net.features[0].weight.requires_grad_(False)
    before = net.features[0].weight.clone()
    train(net, digits, replace(RECIPE, epochs=1), folder=tmp_path)
    assert torch.equal(net.features[0].weight, before)


def test_test_flips_average_the_scores_of_an_image_and_its_mirror_image(digits, tmp_path):
    class Lopsided(nn.Module):
        """Answers 3 when the left half is brighter, 5 when the right one is."""

        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1, 1))

        def forward(self, x):
            left, right = x[..., :4].mean((1, 2, 3)), x[..., 4:].mean((1, 2, 3))
            scores = torch.zeros(len(x), 10)
            scores[:, 3], scores[:, 5] = left, right
            return scores + 0 * self.unused

    def loss(flips: bool) -> float:
        recipe = replace(RECIPE, epochs=1, test_flips=flips)
        return train(Lopsided(), digits, recipe, folder=tmp_path / str(flips)).test_loss

    inputs = data.standardize(digits.test.images, digits.mean, digits.std, torch.float32, False)
    mean = (Lopsided()(inputs) + Lopsided()(inputs.flip(3))) / 2
    assert loss(flips=True) == pytest.approx(functional.cross_entropy(mean, digits.test.labels).item(), rel=1e-5)
    assert loss(flips=False) != pytest.approx(loss(flips=True), rel=1e-4)


def test_channels_last_is_kept(digits, tmp_path):
    seen = []

    class Nosy(models.DigitsNet):
        def forward(self, x):
            seen.append(x.is_contiguous(memory_format=torch.channels_last))
            return super().forward(x)

    net = Nosy(nn.BatchNorm2d, channels=1, stages=3)
    train(net, digits, replace(RECIPE, epochs=1), folder=tmp_path)
    assert all(seen)
    assert net.features[3].weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_types_are_the_networks_and_the_weights_stay_float32(digits, tmp_path, precision):
    dtypes = set()
    net = network()
    net.features[3].register_forward_hook(lambda module, inputs, output: dtypes.add(output.dtype))
    outcome = train(net, digits, replace(RECIPE, precision=precision), folder=tmp_path)
    assert dtypes == {getattr(torch, precision)}
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
    assert outcome.test_accuracy > 0.8


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, while it loads its compiler
def test_compiled_training_gives_the_same_numbers(digits, tmp_path):
    recipe = replace(RECIPE, epochs=1)
    eager = train(network(), digits, recipe, folder=tmp_path / "eager")
    compiled = train(network(), digits, replace(recipe, compile="default"), folder=tmp_path / "compiled")
    assert compiled.history[0]["train_loss"] == pytest.approx(eager.history[0]["train_loss"], rel=1e-3)


def test_compiling_is_no_training_time_and_leaves_all_as_it_was(digits, tmp_path, monkeypatch):
    now, reset = [0.0], []
    monkeypatch.setattr(training.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(torch.compiler, "reset", lambda: reset.append(True))

    def compiled(model, mode):
        calls = []

        def forward(x):
            calls.append(mode)
            now[0] += 60 if len(calls) == 1 else 0
            return model(x)

        return forward

    monkeypatch.setattr(torch, "compile", compiled)
    recipe = replace(RECIPE, epochs=1, accumulate=2)
    eager = train(network(), digits, recipe, folder=tmp_path / "eager")
    fast = train(network(), digits, replace(recipe, compile="reduce-overhead"), folder=tmp_path / "compiled")
    assert now == [60.0]
    assert fast.seconds == 0
    assert fast.history == eager.history  # the running statistics, too
    assert reset == [True]


def test_no_step_makes_tensors_from_numbers(digits, tmp_path):
    class Watch(TorchDispatchMode):
        made = 0

        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            self.made += function is torch.ops.aten.lift_fresh.default
            return function(*arguments, **(keywords or {}))

    made = {}
    for steps in (16, 32):  # a GPU would be waited for at each
        with Watch() as watch:
            train(network(), digits, replace(RECIPE, batch_size=20), folder=tmp_path / str(steps), **stop_at(steps))
        made[steps] = watch.made
    assert made[16] == made[32]


def test_without_a_held_out_split_nothing_is_said_of_it(tmp_path):
    everything = data.load("digits", held_out=0)
    outcome = train(network(), everything, replace(RECIPE, epochs=1), folder=Path(tmp_path))
    assert "held_out_accuracy" not in outcome.history[0]
    assert outcome.test_accuracy > 0.5


def test_the_moment_that_is_kept_is_not_changed_by_the_steps_after_a_return_to_it(digits):
    run = training._Run(network(), digits, RECIPE, 0, torch.device("cpu"))
    batches = run.batches()
    run.take_step(*next(batches))
    run.remember()
    weights, trainer = copy.deepcopy(run.moment)
    run._restore(*run.moment)
    run.take_step(*next(batches))
    assert all(torch.equal(run.moment[0][name], value) for name, value in weights.items())
    assert torch.equal(run.moment[1]["loss"], trainer["loss"])
    now, then = (of["optimizer"]["state"] for of in (run.moment[1], trainer))
    assert all(torch.equal(now[key]["momentum_buffer"], then[key]["momentum_buffer"]) for key in then)


def test_where_not_even_one_image_can_be_evaluated_it_says_so_as_in_training(digits):
    run = training._Run(Hungry(0), digits, RECIPE, 0, torch.device("cpu"))
    with pytest.raises(OutOfMemoryError, match="Not one image fits into the memory of cpu; a smaller model would"):
        run.evaluate(digits.test)


def test_a_signal_whose_handler_python_does_not_know_is_left_alone(monkeypatch):
    taken, install = [], signal.signal

    def of_c(number, handler):  # as where a program that embeds Python has set the handler
        if number != signal.SIGTERM:
            return install(number, handler)
        taken.append(number)
        if handler is None:
            raise TypeError("signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object")
        return None

    known = signal.getsignal
    monkeypatch.setattr(signal, "signal", of_c)
    monkeypatch.setattr(signal, "getsignal", lambda number: None if number == signal.SIGTERM else known(number))
    with training._asked_to_stop() as asked:
        os.kill(os.getpid(), signal.SIGINT)
        assert asked
    assert not taken


def test_a_stop_within_an_epoch_is_never_the_best_checkpoint(digits, tmp_path):
    train(network(), digits, RECIPE, folder=tmp_path, **stop_at(32))
    scores = [json.loads((tmp_path / f"step-{n:08}" / "manifest.json").read_text())["score"] for n in (20, 32)]
    assert 0 < scores[0] <= 1
    assert scores[1] == float("-inf")
