"""The training loop. Knows a network, a data set and a recipe, but not which norm or which network it trains.

An epoch's order and its augmentation follow from the seed and the epoch alone, and nothing else is random, so a run
that was stopped goes on as if it had not been: bit for bit on the same machine, versions and number of threads (on a
GPU as far as its kernels are deterministic).
"""

from __future__ import annotations

import contextlib
import copy
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnlib.cifar import checkpoints
from gnlib.cifar.data import Dataset, Split, batches, standardize
from gnlib.grouping import divisors, one_of
from gnlib.records import short_fingerprint

CHECK = 16  # steps between two looks at the loss: each look makes the program wait for a GPU
PATIENCE = 5.0  # seconds after which to look all the same, so that one can see a slow run move
EVALUATED = 1000  # images at a time, if as many fit
WARM_UP = 3  # passes of a compiled network before the clock runs: CUDA graphs are recorded in the second
ADVICE = "A lower lr, a longer warmup or another norm may help."


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train: everything but the data, the network and the seed."""

    epochs: int = 10  # passes over the training images
    batch_size: int = 128  # images a step of the optimizer
    accumulate: int = 1  # parts that a batch is cut into; a norm layer sees batch_size / accumulate images at once
    optimizer: str = "sgd"  # "sgd", with Nesterov's momentum, or "adam"
    lr: float = 0.1  # learning rate at its peak, a step of lr_images images
    lr_images: int = 128  # images that lr is meant for: it grows in proportion to batch_size; 0 takes lr as it is
    momentum: float = 0.9  # share of the last step's direction in the next (sgd)
    weight_decay: float = 5e-4  # times the weight, added to its gradient
    decay_norm: bool = True  # weight decay for one-dimensional parameters too: γ, β and biases
    warmup: float = 1.0  # epochs in which the learning rate rises to lr
    schedule: str = "cosine"  # how it falls afterwards, to 0: "cosine" or "linear"; or "constant"
    label_smoothing: float = 0.0  # share of the target that is spread over all classes
    flip: bool = True  # mirror every other training image
    crop: int = 4  # pixels by which a training image may shift, each way
    precision: str = "float32"  # of the network's arithmetic: "float32", "bfloat16" or "float16" (by autocast)
    channels_last: bool = True  # memory format of images and weights
    compile: str = ""  # "": eager; else a mode of torch.compile, such as "default" or "reduce-overhead" (CUDA graphs)
    test_flips: bool = False  # evaluate on an image and its mirror image, and average the scores

    def __post_init__(self) -> None:
        """Refuse what cannot be meant; says what can.

        Raises:
            ValueError: names the field, its value and the values that would do.
        """
        for name, allowed in (
            ("optimizer", ("sgd", "adam")),
            ("schedule", ("cosine", "linear", "constant")),
            ("precision", ("float32", "bfloat16", "float16")),
            ("compile", ("", "default", "reduce-overhead", "max-autotune")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}: got {getattr(self, name)!r}")
        for name, least in (("epochs", 1), ("batch_size", 1), ("accumulate", 1), ("lr_images", 0), ("crop", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number from {least} on: got {value}")
        for name, least, most in (
            ("lr", 0, math.inf), ("momentum", 0, 1), ("weight_decay", 0, math.inf), ("label_smoothing", 0, 1),
        ):  # fmt: skip
            if not least <= getattr(self, name) < most:
                below = f" and below {most}" if most < math.inf else ""
                raise ValueError(f"{name} must be a number from {least} on{below}: got {getattr(self, name)}")
        if not 0 <= self.warmup <= self.epochs:
            raise ValueError(f"warmup must lie between 0 and the {self.epochs} epochs: got {self.warmup}")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"accumulate must cut the batch into equal parts: got a batch of {self.batch_size} images and "
                f"accumulate={self.accumulate}; {one_of(divisors(self.batch_size))} would do"
            )


@dataclass(frozen=True)
class Progress:
    """What a watcher is told while a run goes on, every few steps and at each epoch's end."""

    step: int  # optimizer steps done, of
    steps: int
    epoch: int  # whole epochs done, of
    epochs: int
    train_loss: float  # mean over this epoch so far
    images_per_second: float  # in this sitting
    seconds: float  # of training so far; evaluation is not counted
    history: list[dict[str, float]]  # one entry an epoch
    epoch_ended: bool


Watch = Callable[[Progress], None]


@dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    state: Literal["finished", "stopped", "diverged"]
    message: str  # for people
    step: int  # optimizer steps done
    history: list[dict[str, float]]  # one entry an epoch: losses, accuracies as fractions, learning rate, seconds
    seconds: float  # of training; evaluation is not counted
    test_loss: float | None = None  # of finished runs
    test_accuracy: float | None = None


class OutOfMemoryError(RuntimeError):
    """A batch does not fit; the message says which would."""


def train(
    model: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    folder: Path,
    watch: Watch = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train a model, or go on where ``folder`` says that an earlier call stopped.

    Args:
        model: takes images (N, channels, height, width), gives scores (N, classes); trained in place.
        dataset: images and labels; its test split is read once, at the end.
        recipe: how to train.
        seed: of the order and the augmentation; the model's initial weights are the caller's.
        device: where to train.
        folder: for the checkpoints, one at each epoch's end; the newest one in it is taken up.
        watch: called with the progress every few steps.
        stop: asked every few steps whether to stop here.
    Returns:
        the outcome. "stopped": Ctrl-C, the notebook's stop button, SIGTERM or ``stop`` asked for it; the step was
        finished and saved. "diverged": the loss was no number any more; the message says at which step, and where.
    Raises:
        OutOfMemoryError: a batch does not fit into the device's memory.
        ValueError: the batch is larger than the training split, or ``folder`` holds a run on other data.
    """
    run = _Run(model, dataset, recipe, seed, torch.device(device))
    run.take_up(checkpoints.load(folder))
    with _asked_to_stop() as asked:
        if recipe.compile and run.epoch < recipe.epochs:
            run.compile()
        while run.epoch < recipe.epochs:
            model.train()
            run.clock.start()
            for images, labels in run.batches():
                run.take_step(images, labels)
                if asked or run.is_due():
                    if not run.loss.isfinite():
                        return run.diverged()
                    run.remember()
                    watch(run.progress())
                    asked.yes = asked.yes or stop()
                    if asked and not run.at_epoch_end:
                        run.save(folder)
                        return run.stopped()
            run.clock.stop()
            run.end_epoch()
            run.save(folder)
            watch(run.progress())
            if asked and run.epoch < recipe.epochs:
                return run.stopped()
    return run.finished(*run.evaluate(dataset.test))


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Make the recipe's optimizer for a model, with or without weight decay for γ, β and biases."""
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in learnt if p.dim() > 1]},
        {"params": [p for p in learnt if p.dim() <= 1], **({} if recipe.decay_norm else {"weight_decay": 0.0})},
    ]
    fused = learnt[0].device.type in ("cpu", "cuda")  # one launch for all parameters
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=fused)
    return torch.optim.SGD(
        groups, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=fused,
        nesterov=recipe.momentum > 0,
    )  # fmt: skip


def learning_rate(recipe: Recipe, step: int, steps_an_epoch: int) -> float:
    """Return the learning rate of a step, counted from 0: it rises through the warm-up, then falls to 0 or stays.

    Source: Goyal et al. 2017 (arXiv:1706.02677) for the growth with the batch; Loshchilov & Hutter 2017
    (arXiv:1608.03983) for the cosine.
    """
    peak = recipe.lr
    if recipe.lr_images:
        peak *= recipe.batch_size / recipe.lr_images
    warmup = recipe.warmup * steps_an_epoch
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    steps = recipe.epochs * steps_an_epoch
    left = (steps - step) / (steps - warmup)  # of the way down: 1 at its start
    match recipe.schedule:
        case "cosine":
            return peak * (1 - math.cos(math.pi * left)) / 2
        case "linear":
            return peak * left
        case _:
            return peak


class _Run:
    """Holds a training while it goes on."""

    def __init__(self, model: nn.Module, dataset: Dataset, recipe: Recipe, seed: int, device: torch.device) -> None:
        self.recipe, self.seed, self.device = recipe, seed, device
        self.data = dataset
        self.training_split = Split(*(tensor.to(device) for tensor in dataset.train))
        self.steps_an_epoch = len(dataset.train.labels) // recipe.batch_size
        if not self.steps_an_epoch:
            raise ValueError(
                f"a batch must not be larger than the training split: got batch_size={recipe.batch_size} "
                f"and {len(dataset.train.labels)} images"
            )
        self.steps = recipe.epochs * self.steps_an_epoch
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.model = model.to(device, memory_format=layout)  # type: ignore[call-overload]
        self.forward: Callable[[Tensor], Tensor] = model
        # on the device once: a tensor made from numbers at every step would make the program wait for a GPU
        self.mean, self.std = (
            torch.tensor(values, dtype=torch.float32, device=device) for values in (dataset.mean, dataset.std)
        )
        self.optimizer = make_optimizer(model, recipe)
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "float16")
        self.at_once = EVALUATED
        self.step = 0  # steps done
        self.history: list[dict[str, float]] = []
        self.clock = _Clock(device)
        self._begin_epoch()
        self.remember()
        self.sitting = (0, 0.0)  # step and second at which this call began

    @property
    def epoch(self) -> int:
        return self.step // self.steps_an_epoch

    @property
    def at_epoch_end(self) -> bool:
        return self.step % self.steps_an_epoch == 0

    def is_due(self) -> bool:
        """Whether to look at the loss after this step."""
        return self.at_epoch_end or self.step % CHECK == 0 or time.monotonic() - self.looked > PATIENCE

    def compile(self) -> None:
        """Compile the network before the clock runs, and leave everything as it was."""
        torch.compiler.reset()  # after the eighth network of a process it would be eager, with no more than a warning
        self.forward = torch.compile(self.model, mode=self.recipe.compile)
        self.model.train()
        images, labels = next(self.batches())
        parts = self.recipe.accumulate
        for _ in range(WARM_UP):
            self.try_gradients(images.chunk(parts)[0], labels.chunk(parts)[0])
            self.optimizer.zero_grad(set_to_none=True)
        self._restore(*self.moment)  # a forward pass moves the running statistics

    def _begin_epoch(self) -> None:
        self.loss = torch.zeros((), device=self.device)  # sums over the steps of this epoch
        self.right = torch.zeros((), device=self.device, dtype=torch.int64)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield what is left of this epoch."""
        recipe = self.recipe
        return batches(
            self.training_split, recipe.batch_size, seed=self.seed, epoch=self.epoch,
            flip=recipe.flip, crop=recipe.crop, skip=self.step % self.steps_an_epoch,
        )  # fmt: skip

    def take_step(self, images: Tensor, labels: Tensor) -> None:
        """Take one step of the optimizer."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, self.step, self.steps_an_epoch)
        self.optimizer.zero_grad(set_to_none=True)
        parts = self.recipe.accumulate
        for part, answers in zip(images.chunk(parts), labels.chunk(parts), strict=True):
            loss, right = self.try_gradients(part, answers)
            self.loss += loss / parts
            self.right += right
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.step += 1

    def try_gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Add the gradient, or say which batch would fit."""
        try:
            return self.add_gradients(images, labels)
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
        # only here: within the except the error holds all that the pass had in memory
        self.say_what_fits(images, labels)

    def add_gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Add the gradient of the mean loss, as a part of a step; returns that loss and the count of right answers."""
        with self.autocast():
            scores = self.forward(self.prepare(images))
        loss = functional.cross_entropy(scores.float(), labels, label_smoothing=self.recipe.label_smoothing)
        self.scaler.scale(loss / self.recipe.accumulate).backward()  # type: ignore[no-untyped-call]
        return loss.detach(), (scores.argmax(1) == labels).sum()

    def prepare(self, images: Tensor) -> Tensor:
        return standardize(images, self.mean, self.std, torch.float32, self.recipe.channels_last)

    def autocast(self) -> torch.autocast:
        dtype = getattr(torch, self.recipe.precision)
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)

    @torch.no_grad()
    def evaluate(self, split: Split) -> tuple[float, float]:
        """Return the mean loss, without label smoothing, and the share of right answers."""
        self.model.eval()
        try:
            return self._evaluate(split)
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            if self.at_once == 1:
                raise OutOfMemoryError(self._nothing_fits()) from None
        self.at_once //= 2
        return self.evaluate(split)

    def _evaluate(self, split: Split) -> tuple[float, float]:
        loss, right = 0.0, 0
        for images, labels in zip(*(torch.split(tensor, self.at_once) for tensor in split), strict=True):
            inputs, answers = self.prepare(images.to(self.device)), labels.to(self.device)
            with self.autocast():
                scores = self.model(inputs).float()
                if self.recipe.test_flips:
                    scores = (scores + self.model(inputs.flip(3)).float()) / 2
            loss += functional.cross_entropy(scores, answers, reduction="sum").item()
            right += int((scores.argmax(1) == answers).sum())
        return loss / len(split.labels), right / len(split.labels)

    def end_epoch(self) -> None:
        """Write the epoch into the history, with what the held-out split says."""
        entry = {
            "epoch": self.epoch,
            "train_loss": self.loss.item() / self.steps_an_epoch,
            "train_accuracy": self.right.item() / (self.steps_an_epoch * self.recipe.batch_size),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "seconds": self.clock.seconds,
        }
        if len(self.data.held_out.labels):
            entry["held_out_loss"], entry["held_out_accuracy"] = self.evaluate(self.data.held_out)
        self.history = [*self.history, entry]
        self._begin_epoch()

    def progress(self) -> Progress:
        steps, seconds = self.step - self.sitting[0], self.clock.seconds - self.sitting[1]
        ended = len(self.history) == self.epoch and self.at_epoch_end
        in_epoch = self.step - len(self.history) * self.steps_an_epoch
        return Progress(
            self.step, self.steps, len(self.history), self.recipe.epochs,
            self.history[-1]["train_loss"] if ended else self.loss.item() / in_epoch,
            steps * self.recipe.batch_size / max(seconds, 1e-9), self.clock.seconds, self.history, ended,
        )  # fmt: skip

    def stopped(self) -> Outcome:
        where = f"step {self.step:,} of {self.steps:,}"
        if self.at_epoch_end:
            where = f"epoch {self.epoch} of {self.recipe.epochs}"
        return self._outcome("stopped", f"Stopped after {where}.")

    def diverged(self) -> Outcome:
        return self._outcome("diverged", self.where_it_diverged())

    def finished(self, loss: float, accuracy: float) -> Outcome:
        """End the run with what the test images say."""
        if math.isfinite(loss):
            message = f"Finished {self.recipe.epochs} epochs."
            return self._outcome("finished", message, test_loss=loss, test_accuracy=accuracy)
        # the last step may spoil the weights, or a layer its running statistics
        message = f"Diverged by step {self.step:,}: the loss of the test images is no number. {ADVICE}"
        return self._outcome("diverged", message)

    def _outcome(self, state: Literal["finished", "stopped", "diverged"], message: str, **test: float) -> Outcome:
        self.clock.stop()
        return Outcome(state, message, self.step, self.history, self.clock.seconds, **test)

    # ---------------------------------------------------------------------------------------------- nothing is lost

    def save(self, folder: Path) -> None:
        trainer = {
            **self._trainer(), "history": self.history, "seconds": self.clock.seconds, "data": _identity(self.data),
        }  # fmt: skip
        # within an epoch the last accuracy is that of other weights
        score = self.history[-1].get("held_out_accuracy", self.epoch) if self.at_epoch_end else -math.inf
        checkpoints.save(folder, self.step, self.model, trainer, score)

    def take_up(self, checkpoint: checkpoints.Checkpoint | None) -> None:
        """Go on from a checkpoint, if there is one."""
        if checkpoint is None:
            return
        here = _identity(self.data)
        began = checkpoint.trainer.get("data", here)  # older checkpoints do not say it
        if began != here:
            raise ValueError(
                f"a run goes on with the data that it began with: got {_images_of(here)}, and the checkpoint of step "
                f"{checkpoint.step:,} began with {_images_of(began)}; those data, or another folder, would do"
            )
        self._restore(checkpoint.weights, checkpoint.trainer)
        self.history = checkpoint.trainer["history"]
        self.clock.seconds = checkpoint.trainer["seconds"]
        self.sitting = (self.step, self.clock.seconds)
        self.remember()

    def _trainer(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "loss": self.loss,
            "right": self.right,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def _restore(self, weights: dict[str, Tensor], trainer: dict[str, Any]) -> None:
        trainer = copy.deepcopy(trainer)  # the optimizer and the sums would change what they were given in place
        self.model.load_state_dict(weights)
        self.optimizer.load_state_dict(trainer["optimizer"])
        self.scaler.load_state_dict(trainer["scaler"])
        self.step = trainer["step"]
        self.loss, self.right = (trainer[name].to(self.device) for name in ("loss", "right"))

    # --------------------------------------------------------------------------------------------- what can go wrong

    def remember(self) -> None:
        """Keep a copy of this moment in memory, from which a divergence can be looked at again."""
        self.moment = copy.deepcopy((self.model.state_dict(), self._trainer()))
        self.looked = time.monotonic()

    def where_it_diverged(self) -> str:
        """Take the last steps again, from the last good moment, and watch every module.

        The model is left as it was at that moment.
        """
        last = self.step
        self._restore(*self.moment)
        culprits: list[str] = []

        def look(name: str, module: nn.Module, output: Tensor) -> None:
            if not culprits and not output.isfinite().all():
                spoilt = any(not parameter.isfinite().all() for parameter in module.parameters(recurse=False))
                weights = ", whose weights were no numbers already" if spoilt else ""
                culprits.append(f"{name} ({type(module).__name__}){weights}")

        hooks = [
            module.register_forward_hook(lambda module, _, output, name=name: look(name, module, output))
            for name, module in self.model.named_modules()
            if name and not list(module.children())
        ]
        self.forward = self.model  # hooks are not seen by what was compiled
        try:
            for images, labels in self.batches():
                self.take_step(images, labels)
                if culprits or not self.loss.isfinite() or self.step == last:
                    break
            first = (
                f"the first output that is no number came from {culprits[0]}" if culprits else "the loss is no number"
            )
            return f"Diverged at step {self.step:,}: {first}. {ADVICE}"
        finally:
            for hook in hooks:
                hook.remove()
            self._restore(*self.moment)

    def _nothing_fits(self) -> str:
        return f"Not one image fits into the memory of {self.device}; a smaller model would."

    def say_what_fits(self, images: Tensor, labels: Tensor) -> NoReturn:
        """Halve the batch until it fits, then say so."""
        tried = fits = len(labels)
        while fits > 1:
            fits //= 2
            self.optimizer.zero_grad(set_to_none=True)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            try:
                self.add_gradients(images[:fits], labels[:fits])
                break
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
        else:
            raise OutOfMemoryError(self._nothing_fits())
        batch = self.recipe.batch_size
        parts = next(k for k in divisors(batch) if batch // k <= fits)
        raise OutOfMemoryError(
            f"{tried} images at once must fit into the memory of {self.device}, and they do not: {fits} would. "
            f"batch_size={fits} would do; or accumulate={parts}, which keeps {batch} images a step but shows "
            f"a norm layer {batch // parts} at once."
        )


class _Clock:
    """Adds up the seconds of training, with the device's work finished."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._before = 0.0  # seconds of the intervals that are over
        self._since: float | None = None

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def start(self) -> None:
        self._since = self._now()

    def stop(self) -> None:
        self._before, self._since = self.seconds, None

    @property
    def seconds(self) -> float:
        return self._before + (self._now() - self._since if self._since is not None else 0.0)

    @seconds.setter
    def seconds(self, value: float) -> None:
        self._before = value


class _Asked:
    """Is true once somebody asked the run to stop."""

    def __init__(self) -> None:
        self.yes = False

    def __bool__(self) -> bool:
        return self.yes


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[_Asked]:
    """Turn the first Ctrl-C, a notebook's stop button or SIGTERM, into a wish; a second one interrupts at once."""
    asked = _Asked()
    if threading.current_thread() is not threading.main_thread():  # Python hands signals to the main thread alone
        yield asked
        return

    def wish(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.yes = True

    # a handler that was not set from Python, and so is None, could not be put back
    ours = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not None]
    before = {number: signal.signal(number, wish) for number in ours}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _identity(dataset: Dataset) -> dict[str, Any]:
    """Return what tells data apart: the fingerprint is the whole set's, so the sizes of what is cut from it belong."""
    return {
        "fingerprint": dataset.fingerprint,
        "images": [len(split.labels) for split in (dataset.train, dataset.held_out)],
    }


def _images_of(identity: dict[str, Any]) -> str:
    train, held_out = identity["images"]
    return f"{train:,} and {held_out:,} held-out images of {short_fingerprint(identity['fingerprint'])}"


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
