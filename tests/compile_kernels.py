"""Compiles every kernel as it would be launched, for a GPU that need not be there; `tests/test_kernels.py` calls it.

Prints one line of JSON for each launch: which kernel, for which activation, the registers and spilt bytes of a thread,
and how many bits its widest and narrowest accesses to memory have. Runs in a process of its own, because Triton
decides when it is imported whether it compiles or interprets.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import triton
import triton.backends.nvidia
from triton.backends.compiler import GPUTarget
from triton.runtime import JITFunction

from gnlib import triton_kernels

TOOLS = Path(triton.backends.nvidia.__file__).parent / "bin"


class NoDevice:
    """Stands in for a driver: says what to compile for."""

    def __init__(self, capability: int) -> None:
        self.capability = capability

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.capability, 32)


@contextmanager
def compiling(capability: int) -> Iterator[list[tuple[str, Any]]]:
    """Let launches compile and not run, and collect what comes out: each kernel's name and code."""
    found: list[tuple[str, Any]] = []
    launch = JITFunction.run

    def compile_only(self: JITFunction[Any], *args: Any, grid: Any, warmup: bool, **options: Any) -> Any:
        kernel = launch(self, *args, grid=grid, warmup=True, **options)
        found.append((self.__name__, kernel))
        return kernel

    triton.runtime.driver.set_active(NoDevice(capability))
    JITFunction.run = compile_only
    try:
        yield found
    finally:
        JITFunction.run = launch


def run(tool: str, *arguments: str) -> str:
    done = subprocess.run([str(TOOLS / tool), *arguments], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def facts(kernel: Any, capability: int) -> dict[str, Any]:
    """Read off machine code what decides its speed."""
    with tempfile.TemporaryDirectory() as folder:
        ptx, cubin = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        ptx.write_text(kernel.asm["ptx"])
        cubin.write_bytes(kernel.asm["cubin"])
        suffix = "a" if capability >= 90 else ""
        report = run("ptxas", f"-arch=sm_{capability}{suffix}", "-v", str(ptx), "-o", "/dev/null")
        assembly = run("cuobjdump", "--dump-sass", str(cubin))
    registers, spills = (re.search(rf"(\d+) {what}", report) for what in ("registers", "bytes spill stores"))
    assert registers
    assert spills
    widths: dict[str, dict[int, int]] = {}
    for access, suffixes in re.findall(r"\b(LDG|STG)\.E([.\w]*)", assembly):
        size = re.search(r"\.(?:U|S)?(8|16|64|128)\b", suffixes)
        bits = int(size[1]) if size else 32
        counts = widths.setdefault(access, {})
        counts[bits] = counts.get(bits, 0) + 1
    return {"registers": int(registers[1]), "spilt": int(spills[1]), "shared": kernel.metadata.shared, "widths": widths}


def launch(
    shape: tuple[int, ...], last: bool, dtype: torch.dtype, b: int, g: int, relu: bool, fixed: bool, affine: bool
) -> None:
    """Go forward and backward through the launches, with tensors that have a shape and no values."""
    N, C, *positions = shape

    def room() -> torch.Tensor:
        if last:
            return torch.empty(N, *positions, C, dtype=dtype, device="meta").movedim(-1, 1)
        return torch.empty(shape, dtype=dtype, device="meta")

    x, y, dy, dx = (room() for _ in range(4))
    weight, bias = (torch.empty(C, device="meta") if affine else None for _ in range(2))
    mean, var = triton_kernels.measure(x, b, g)
    triton_kernels.apply(x, y, mean, var, weight, bias, 1e-5, relu)
    triton_kernels.backward(dy, x, dx, weight, bias, mean, var, 1e-5, relu, fixed, int(affine))
    if g == C:
        kept = torch.empty(2, C, device="meta")
        batches = torch.empty((), dtype=torch.int64, device="meta")
        triton_kernels.track(mean, var, *kept, batches if relu else None, 0.1, N // b * 64, b == 1)


def main() -> None:
    """Compile for the capability in the first argument the cases in the second, a JSON list of arguments to launch."""
    capability, cases = int(sys.argv[1]), json.loads(sys.argv[2])
    known: dict[int, dict[str, Any]] = {}
    for shape, layout, dtype, *rest in cases:
        with compiling(capability) as found:
            launch(tuple(shape), layout == "channels_last", getattr(torch, dtype), *rest)
        for name, kernel in found:
            if id(kernel) not in known:
                known[id(kernel)] = facts(kernel, capability)
            print(json.dumps({"kernel": name, "shape": shape, "layout": layout, "dtype": dtype, **known[id(kernel)]}))


if __name__ == "__main__":
    main()
