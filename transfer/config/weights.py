"""What `weights` takes: one source for every job, or a mapping that gives each model its own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from transfer.system.errors import ConfigError

CHOICES = "auto, starter, imagenet, none, a file (.pth, .ckpt, .safetensors, …), runs:/<run id>"
# A shell takes braces and spaces apart, so the mapping stands in quotes.
EXAMPLE = "'weights={resnet18: starter, simple_cnn: none}'"
_MAPPING = ("weights={", "weights.")


def weights_for(given: object, model_name: str) -> str:
    """The source of one model's weights.

    Args:
        given: `weights` as composed: a source, or a mapping from names of models to sources.

    Raises:
        ConfigError: it is neither, or the mapping does not name the model.
    """
    if not isinstance(given, Mapping):
        if given is None or isinstance(given, list):
            problem = f"choose from {CHOICES}, or give each model its own: {EXAMPLE}"
            raise ConfigError("weights", given, problem)
        return str(given)
    if model_name not in given:
        example = _text({**given, model_name: "none"})
        problem = f"names no weights for {model_name}; in quotes, for example: 'weights={example}'"
        raise ConfigError("weights", _text(given), problem)
    source = given[model_name]
    if source is None or isinstance(source, list | Mapping):
        raise ConfigError(f"weights.{model_name}", source, f"choose from {CHOICES}")
    return str(source)


@contextmanager
def entry_named(model_name: str, overrides: Sequence[str]) -> Iterator[None]:
    """Let errors about weights name the model's entry where the overrides of a job, such as
    ``weights={resnet18: starter}``, give a mapping."""
    try:
        yield
    except ConfigError as error:
        typed = (each.lstrip("+") for each in overrides)
        if error.key == "weights" and any(each.startswith(_MAPPING) for each in typed):
            raise ConfigError(f"weights.{model_name}", error.value, error.problem) from error
        raise


def _text(given: Mapping[str, object]) -> str:
    """As it is typed."""
    return f"{{{', '.join(f'{name}: {source}' for name, source in given.items())}}}"
