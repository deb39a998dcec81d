"""What an exported file says of its network, for whoever feeds it: as metadata, all of it text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

INPUT = "images"


@dataclass(frozen=True)
class Description:
    """What a deployer has to know. The network reads `images`, float32 [N, 3, image_size,
    image_size], RGB from 0 to 1, for any N; it normalises them itself.

    Attributes:
        model: its name here, such as "resnet18".
        run_id, run_name: of the training that gave the weights.
        classes: in the order of the outputs.
        image_size: pixels.
        stored_size: pixels of the squares in which the test images were kept, before they became
            `image_size` large.
        fit: how pictures became such squares: "crop", "squash" or "pad".
        interpolation: by which they were resized, "bilinear" or "bicubic", with antialiasing.
        mean, std: a value a channel, by which the file normalises images.
        output: "probabilities" or "logits", float32 [N, K].
        numbers: "float32" or "int8", in which most of it computes.
    """

    model: str
    run_id: str
    run_name: str
    classes: tuple[str, ...]
    image_size: int
    stored_size: int
    fit: str
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    output: str
    numbers: str = "float32"

    def metadata(self) -> dict[str, str]:
        """As a file holds it: text as it is, the rest as JSON."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        texts = {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in values.items()
        }
        return texts | {"input": f"{INPUT}: float32 [N, 3, {self.image_size}, {self.image_size}]"}

    @classmethod
    def of_metadata(cls, metadata: Mapping[str, str]) -> Self:
        """What `metadata` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        values: dict[str, Any] = {}
        for each in fields(cls):
            text = metadata[each.name]
            values[each.name] = text if each.type is str else json.loads(text)
        numbers = (values["image_size"], values["stored_size"])
        if not all(isinstance(each, int) and each > 0 for each in numbers):
            raise ValueError("a size that is none")
        for name in ("classes", "mean", "std"):
            values[name] = tuple(values[name])
        if not all(isinstance(each, str) for each in values["classes"]):
            raise ValueError("a class without a name")
        if values["output"] not in ("probabilities", "logits"):
            raise ValueError("an output of another kind")
        return cls(**values)
