"""`python -m tests.gpu`: the tests of this folder, then `benchmark.py what=gpu`."""

import subprocess
import sys

import pytest
import torch

from tests.conftest import ROOT


def main() -> int:
    if not torch.cuda.is_available():
        print(f"no GPU: torch {torch.__version__} finds none on this machine; nothing was tried")
        return 0
    failed = pytest.main(["-v", str(ROOT / "tests" / "gpu")])
    benchmark = [sys.executable, "experiments/benchmark.py", "what=gpu", *sys.argv[1:]]
    return int(failed) or subprocess.run(benchmark, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
