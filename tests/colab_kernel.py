"""A kernel of `.colab`, the environment with the notebook side of Colab, for whoever runs a notebook in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

from tools import colab


def colab_kernel(folder: Path) -> dict[str, Any]:
    """Return the keywords of a NotebookClient that runs in such a kernel, which keeps its files in ``folder``."""
    assert colab.is_ready(), "no environment as Colab has it: run `make colab` first"
    spec = {
        "argv": [str(colab.PYTHON), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Colab",
        "language": "python",
        "env": {"IPYTHONDIR": str(folder), "JUPYTER_CONFIG_DIR": str(folder)},
    }
    kernel = folder / "kernels" / "colab" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps(spec))

    class Manager(AsyncKernelManager):  # as a class: the client makes it, and clears away what it made
        @default("kernel_spec_manager")
        def _beside_it(self) -> KernelSpecManager:
            return KernelSpecManager(kernel_dirs=[str(folder / "kernels")])

    return {"kernel_name": "colab", "kernel_manager_class": Manager}
