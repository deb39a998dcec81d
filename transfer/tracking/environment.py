"""What a run was made with: command, versions, commit."""

import getpass
import platform
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from transfer.system.errors import without_password
from transfer.system.paths import REPOSITORY

# In a mapping from models to sources, which may be runs:/<run id>.
_FOLDER_OF_ENTRY = re.compile(r"(?<!\bruns):(?!\s*runs:/)[^,}]*/")


def environment_tags() -> dict[str, str]:
    """Tags for every run; those under ``mlflow.`` are the names that MLflow's pages show."""
    tags = {
        "mlflow.source.name": "train.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
        "transfer.command": command(),
        "transfer.versions": _versions(),
    }
    commit = _commit()
    if commit:
        tags["mlflow.source.git.commit"] = commit
    return tags


def command() -> str:
    """The command line that started this process, ready to be typed again, but for passwords."""
    return without_password(shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]]))


def without_places(command: str) -> str:
    """A command that means the same on any machine: without the store's address, which may hold a
    password, with the last name alone of a path, and without how or where Hydra ran it."""
    words = []
    for word in shlex.split(command):
        key, _, value = word.partition("=")
        if key in ("tracking.uri", "resume") or key.startswith("hydra."):
            continue
        words.append(f"{key}={without_folder(key, value)}" if value else word)
    return shlex.join(words)


def without_folder(key: str, value: str) -> str:
    """The last name alone of the path that a key has as its value; any other value as it is."""
    if key == "weights" and value.startswith("{"):
        return _FOLDER_OF_ENTRY.sub(": ", value)
    is_path = key in ("data.root", "weights") and not value.startswith("runs:/")
    return Path(value).name or value if is_path else value


def _versions() -> str:
    packages = ("torch", "torchvision", "hydra-core", "mlflow")
    found = [f"{package} {version(package)}" for package in packages]
    return ", ".join([f"Python {platform.python_version()}", *found])


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return "unknown"


def _commit() -> str:
    """The checked-out commit, marked where files differ from it; empty outside a checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        return f"{commit}-dirty" if _git("status", "--porcelain", "-uno") else commit
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(*arguments: str) -> str:
    call = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(
        call, capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()
