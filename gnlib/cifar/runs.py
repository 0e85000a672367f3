"""One run: the configuration that decides its result, its folder on disk, and its record.

Here everything comes together: data, model, norm and recipe. What lies below knows none of the others.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gnlib import records
from gnlib.cifar import data, models, norms
from gnlib.cifar.data import Dataset
from gnlib.cifar.training import Outcome, Progress, Recipe, Watch, train

with contextlib.suppress(ImportError):  # Windows has none: there a folder is not kept for one process
    import fcntl

log = logging.getLogger(__name__)
SHAPES = {"cifar10": (3, 32, 32), "digits": (1, 8, 8)}  # of an image: channels, height, width
RECIPES = {
    "resnet9": Recipe(),
    "resnet9-whitened": Recipe(),
    "resnet8": Recipe(),
    # the annotated implementation's, but for its own variant of Adam
    "vgg": Recipe(
        batch_size=64, optimizer="adam", lr=2.5e-4, lr_images=0, weight_decay=0.0, warmup=0.0, schedule="constant"
    ),
    # digits must not be mirrored
    "digits": Recipe(epochs=3, batch_size=32, lr_images=32, weight_decay=0.0, warmup=0.0, schedule="constant",
                     flip=False, crop=0),
}  # fmt: skip
RECIPES["digits-2x2"] = RECIPES["digits"]
"""The recipe that each model starts from."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """All that decides the result of a run."""

    data: str = "cifar10"  # or "digits"
    model: str = "resnet9"  # a name in models.MODELS
    norm: str = "batch"  # one of norms.SPECS
    seed: int = 0  # of the initial weights, the order and the augmentation
    train_images: int | None = None  # to train on, equally many of each class; None for all
    held_out: int | None = None  # images kept from training, to choose by; None for the data's own number
    zero_gamma: bool = True  # residual branches begin at zero
    gamma: float = 1.0  # value at which the other γ start
    weight_standardization: bool = False  # convolutions see their weights standardized
    recipe: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ValueError: says the rule and what would do.
        """
        if self.data not in SHAPES:
            raise ValueError(f"data must be {' or '.join(SHAPES)}: got {self.data!r}")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**64:
            raise ValueError(f"seed must be a whole number from 0 on and below 2**64: got {self.seed}")
        if not math.isfinite(self.gamma):
            raise ValueError(f"gamma must be a finite number: got {self.gamma}; 1 would do")
        side = min(SHAPES[self.data][1:])
        if self.recipe.crop >= side:
            raise ValueError(
                f"crop must be 0 to {side - 1}, less than an image's side: got {self.recipe.crop}; "
                f"{min(4, side - 1)} would do"
            )
        norms.check(self.norm, self.model, self.recipe.batch_size // self.recipe.accumulate)

    @classmethod
    def of(cls, **settings: Any) -> Config:
        """Make a configuration from the names of its own fields and its recipe's; the rest is the model's default.

        Raises:
            TypeError: there is no such setting; names those there are.
            ValueError: a value cannot be meant.
        """
        own = {item.name for item in fields(cls)} - {"recipe"}
        of_recipe = {item.name for item in fields(Recipe)}
        if unknown := set(settings) - own - of_recipe:
            raise TypeError(f"settings are {', '.join(sorted(own | of_recipe))}: got {', '.join(sorted(unknown))}")
        settings.setdefault("model", "digits" if settings.get("data") == "digits" else "resnet9")
        base = RECIPES.get(settings["model"], Recipe())
        recipe = {name: value for name, value in settings.items() if name in of_recipe}
        if "epochs" in recipe and "warmup" not in recipe:
            recipe["warmup"] = min(base.warmup, recipe["epochs"] / 5)
        return cls(recipe=replace(base, **recipe), **{name: value for name, value in settings.items() if name in own})

    def flat(self) -> dict[str, Any]:
        """Write everything into one flat dict of JSON's types, as records keep it; :meth:`of` reads it again."""
        own = asdict(self)
        recipe = own.pop("recipe")
        return {**own, **recipe}


def pick_device(wish: str = "auto") -> torch.device:
    """Return the device that is meant: for "auto" a CUDA GPU, Apple's GPU or the CPU, the first there is.

    Raises:
        ValueError: the wish names no device, or one that this machine does not have.
    """
    if wish == "auto":
        wish = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(wish)
        if device.type not in ("cpu", "cuda", "mps"):
            raise NotImplementedError("only cpu, cuda and mps are trained on")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device must be auto, cpu, or a GPU that is here: got {wish!r} ({error})") from None
    return device


def best_precision(device: torch.device) -> str:
    """Return the precision in which a device trains fastest: half types on CUDA GPUs, float32 elsewhere."""
    if device.type != "cuda":
        return "float32"
    return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float16"


def build(config: Config, channels: int, classes: int) -> nn.Module:
    """Make the network of a configuration, with the initial weights of its seed."""
    torch.manual_seed(config.seed)
    model = models.MODELS[config.model](norms.norm_of(config.norm, config.gamma), channels, classes)
    if config.zero_gamma:
        models.zero_gamma(model)
    if config.weight_standardization:
        models.standardize_weights(model)
    return model


def rehearse(config: Config) -> int | None:
    """Run one batch without numbers through the network, before any data is touched.

    Returns:
        the fewest values behind any of the network's statistics; None if it takes none.
    Raises:
        ValueError: some layer cannot work on such a batch; its own words.
    """
    shape = SHAPES[config.data]
    counts = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        values = norms.values_per_statistic(layer, inputs[0].shape) if inputs else None
        if values is not None:
            counts.append(values)

    with torch.device("meta"):
        model = build(config, shape[0], 10)
        for module in model.modules():
            module.register_forward_hook(count)
        try:
            model(torch.empty(config.recipe.batch_size // config.recipe.accumulate, *shape))
        except RuntimeError as error:
            raise ValueError(f"{config.model} cannot take images of shape {shape}: {error}") from None
    return min(counts, default=None)


def run(
    config: Config,
    folder: Path,
    *,
    experiment: str = "train",
    device: str = "auto",
    data_folder: Path | str | None = None,
    dataset: Dataset | None = None,
    watch: Watch = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Outcome, records.Record | None]:
    """Train what a configuration says, or go on with it if ``folder`` holds the beginning.

    Args:
        config: what to run.
        folder: for ``run.json`` (the configuration), ``metrics.jsonl`` (a line an epoch), ``checkpoints/`` and, at the
            end, ``record.json``.
        experiment: the sweep that it belongs to, unless ``folder`` says so already.
        device: "auto", or one of torch's.
        data_folder: where CIFAR-10 lies; None for the usual places.
        dataset: the data, if they are loaded already.
        watch: called with the progress every few steps.
        stop: asked every few steps whether to stop here.
    Returns:
        the outcome, and the record if the run came to its end.
    Raises:
        ValueError: the configuration cannot work, or the folder holds a run of another one, or on other data.
        DataError: the data cannot be had.
        OutOfMemoryError: a batch does not fit.
    """
    code = _code()
    values = rehearse(config)
    place = pick_device(device)
    experiment = _claim(folder, config, experiment, data_folder)
    if dataset is None:
        dataset = data.load(config.data, data_folder, train_images=config.train_images, held_out=config.held_out)
    model = build(config, dataset.train.images.shape[1], len(dataset.classes))
    if isinstance(model, models.ResNet9):
        sample = data.standardize(dataset.train.images[:5000], dataset.mean, dataset.std, torch.float32, False)
        model.whiten(sample)

    def note(progress: Progress) -> None:
        if progress.epoch_ended:
            lines = (json.dumps(records.finite(entry), allow_nan=False) for entry in progress.history)
            try:
                _write(folder / "metrics.jsonl", "\n".join(lines))
            except OSError as error:  # as for a checkpoint: a full disk must not end a run
                log.warning("%s was not written (%s).", folder / "metrics.jsonl", error.strerror or error)
        watch(progress)

    outcome = train(
        model,
        dataset,
        config.recipe,
        seed=config.seed,
        device=place,
        folder=folder / "checkpoints",
        watch=note,
        stop=stop,
    )  # fmt: skip
    if outcome.state == "stopped":
        return outcome, None
    if (folder / "record.json").exists():  # it came to its end before
        return outcome, read_record(folder)
    record = make_record(config, experiment, outcome, dataset, place, values, code)
    _write(folder / "record.json", record.to_json())
    return outcome, record


def resume(
    folder: Path,
    *,
    device: str = "auto",
    data_folder: Path | str | None = None,
    watch: Watch = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Outcome, records.Record | None]:
    """Go on with the run that a folder holds; see :func:`run`.

    Raises:
        ValueError: the folder holds no run.
    """
    config, experiment, remembered = read_run(folder)
    return run(
        config,
        folder,
        experiment=experiment,
        device=device,
        data_folder=data_folder or remembered,
        watch=watch,
        stop=stop,
    )


def read_run(folder: Path) -> tuple[Config, str, str | None]:
    """Read what ``run.json`` says: the configuration, the experiment, and the data's folder.

    Raises:
        ValueError: there is no such file, or it is no run's.
    """
    try:
        told = json.loads((folder / "run.json").read_text("utf8"))
        return Config.of(**told["config"]), told["experiment"], told["data_folder"]
    except FileNotFoundError:
        raise ValueError(f"a run's folder holds a run.json: got {folder}, which has none") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / 'run.json'} is no run of this version: {error}; delete {folder} to begin it anew"
        ) from None


def read_record(folder: Path) -> records.Record:
    """Read the record of a run that came to its end.

    Raises:
        ValueError: it is no record.
    """
    try:
        return records.Record.from_json((folder / "record.json").read_text("utf8"))
    except ValueError as error:
        raise ValueError(
            f"{folder / 'record.json'} is no record ({error}); delete it, and resume writes it again from the "
            "last checkpoint"
        ) from None


def _write(file: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all, also when the power fails."""
    part = file.with_name(f"{file.name}.part")
    with part.open("w", encoding="utf8") as out:
        out.write(text + "\n")
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)


@cache
def _code() -> records.Provenance:
    """Say which code runs, as of the first run: what is committed or changed later, this process has not loaded."""
    return records.provenance()


def _claim(folder: Path, config: Config, experiment: str, data_folder: Path | str | None) -> str:
    """Write down which run the folder is for, and return its experiment; refuse a folder that is another run's."""
    if (folder / "run.json").exists():
        begun, of, _ = read_run(folder)
        there, here = begun.flat(), config.flat()
        if other := [f"{name} {there[name]}, not {here[name]}" for name in here if there[name] != here[name]]:
            raise ValueError(
                f"a folder is for one run: {folder} holds one with {', '.join(other)}; another folder would do"
            )
        return of
    folder.mkdir(parents=True, exist_ok=True)
    if others := sorted({path.name for path in folder.iterdir()} - {"lock", "run.json.part"}):
        raise ValueError(f"a run's folder is empty at first: {folder} holds {others[0]}; another folder would do")
    place = None if data_folder is None else str(Path(data_folder).resolve())
    told = {"config": config.flat(), "experiment": experiment, "data_folder": place}
    _write(folder / "run.json", json.dumps(told, indent=1))
    return experiment


def make_record(
    config: Config,
    experiment: str,
    outcome: Outcome,
    dataset: Dataset,
    device: torch.device,
    values: int | None,
    code: records.Provenance,
) -> records.Record:
    """Write a run that came to its end as a record."""
    last = outcome.history[-1] if outcome.history else {}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return records.Record(
        kind="training",
        experiment=experiment,
        config=config.flat(),
        outcome=outcome.state,
        results=records.finite(
            {
                "test_accuracy": outcome.test_accuracy,
                "test_loss": outcome.test_loss,
                **{key: last.get(key) for key in ("held_out_accuracy", "held_out_loss", "train_loss")},
                "values_per_statistic": values,
                "history": outcome.history,
            }
        ),
        seconds=outcome.seconds,
        data={
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            **{split: len(getattr(dataset, split).labels) for split in ("train", "held_out", "test")},
        },
        machine=records.machine(name, torch.get_num_threads()),
        commit=code.commit,
        changed=code.changed,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Say whether no other process is at work in a folder, and keep others out meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    if "fcntl" not in globals():
        yield True
        return
    with (folder / "lock").open("w") as lock:
        try:
            # the system lets go of it when the process ends, however it ends
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = True
        except BlockingIOError:
            mine = False
        except OSError:
            mine = True  # a disk that knows no locks, such as a mounted drive
        yield mine
