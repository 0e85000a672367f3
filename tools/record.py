"""Makes the runs that are still missing of the recorded experiments: `make record-gpu`, `make record-cpu`.

All experiments come to their first seed before any comes to its second, so that whatever time there is tells most. A
run that the time limit cut off goes on at the next call. Needs this folder, torch, numpy, safetensors and tqdm.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

from gnlib.cifar.data import DataError
from gnlib.cifar.experiments import SEEDS, SWEEPS, sweep
from gnlib.cifar.training import OutOfMemoryError
from gnlib.records import Record

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.record", description=__doc__.split("\n")[0])
    parser.add_argument("sweeps", nargs="*", default=[], metavar="SWEEP", help=f"of {', '.join(SWEEPS)}; all if none")
    parser.add_argument("--reduced", action="store_true", help="the forms for a CPU")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop and save after so many")
    parser.add_argument("--data", type=Path, help="folder with CIFAR-10 (default: GNLIB_DATA, or the cache)")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="folder of the records")
    parser.add_argument("--work", type=Path, default=ROOT / "runs", help="folder for runs while they go on")
    options = parser.parse_args(arguments)
    if not options.reduced and not torch.cuda.is_available():
        print(
            "The full experiments need a CUDA GPU, and there is none: make record-cpu has those for a CPU.",
            file=sys.stderr,
        )
        return 1
    wanted = options.sweeps or [name for name, sweep in SWEEPS.items() if sweep.reduced or not options.reduced]
    end = time.monotonic() + options.seconds
    left = dict.fromkeys(wanted, 0)
    try:
        for seed in SEEDS:
            for name in wanted:

                def done(record: Record, number: int, of: int, name: str = name) -> None:
                    config, accuracy = record.config, record.results["test_accuracy"]
                    what = f"{config['norm']}, batch {config['batch_size']}, seed {config['seed']}"
                    told = "diverged" if accuracy is None else f"test {100 * accuracy:.2f} %"
                    print(f"{name} {number}/{of}: {what}: {told}, {record.seconds:.1f} s", flush=True)

                swept = sweep(
                    name, reduced=options.reduced, seeds=[seed], results=options.results, work=options.work,
                    data_folder=options.data, seconds=end - time.monotonic(), done=done,
                )  # fmt: skip
                left[name] += swept.left
                if swept.stopped:  # by Ctrl-C as well: of the others it is only told how many wait
                    end = time.monotonic()
    except (ValueError, DataError, OutOfMemoryError) as error:
        print(error, file=sys.stderr)
        return 1
    waiting = [f"{name} {count}" for name, count in left.items() if count]
    print(f"Runs that still wait: {', '.join(waiting) or 'none'}.")
    return 3 if waiting else 0


if __name__ == "__main__":
    sys.exit(main())
