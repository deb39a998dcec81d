"""The packages that exported files need, which not everybody installs."""

from importlib.util import find_spec

from transfer.system.errors import ConfigError

EXPORT = ("onnx", "onnxscript", "onnxruntime")


def require_packages(*names: str, key: str, value: str) -> None:
    """Raise ConfigError, with the command that installs them, where some are missing."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        install = f"python -m pip install {' '.join(missing)}"
        raise ConfigError(key, value, f"{' and '.join(missing)} {are} not installed: {install}")
