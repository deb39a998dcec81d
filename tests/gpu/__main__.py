"""`python -m tests.gpu`: the tests of this folder, then `benchmark.py what=gpu models=resnet18`."""

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
    question = ["what=gpu", "models=resnet18", *sys.argv[1:]]
    benchmark = [sys.executable, "experiments/benchmark.py", *question]
    measured = subprocess.run(benchmark, cwd=ROOT, check=False)
    return int(failed) or measured.returncode


if __name__ == "__main__":
    sys.exit(main())
