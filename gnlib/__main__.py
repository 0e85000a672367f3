"""Lets ``python -m gnlib`` run the command line."""

import sys

try:
    from gnlib.cifar.command import main
except ModuleNotFoundError as error:
    if error.name not in ("numpy", "safetensors", "tqdm"):
        raise
    sys.exit(
        f"python -m gnlib needs {error.name}, which is not installed: pip install numpy safetensors scikit-learn tqdm"
    )

if __name__ == "__main__":
    sys.exit(main())
