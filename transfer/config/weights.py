"""What `weights` takes: one source for every job, or a mapping that gives each model its own."""

from collections.abc import Mapping

from transfer.system.errors import ConfigError

CHOICES = "auto, starter, imagenet, none, a file (.pth, .ckpt, .safetensors, …), runs:/<run id>"
# A shell takes braces and spaces apart, so the mapping stands in quotes.
EXAMPLE = "'weights={resnet18: starter, simple_cnn: none}'"


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


def _text(given: Mapping[str, object]) -> str:
    """As it is typed."""
    return f"{{{', '.join(f'{name}: {source}' for name, source in given.items())}}}"
