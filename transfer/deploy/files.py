"""The two kinds of files that a network is exported to."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from transfer.deploy.description import INPUT, Description
from transfer.deploy.network import quiet
from transfer.system.disk import writing
from transfer.system.errors import ConfigError, first_line

if TYPE_CHECKING:
    import onnx

# What one message of protobuf holds at most.
_MOST_BYTES = 2 * 10**9
# Where a pt2 file keeps what it says of its network.
_DESCRIPTION = "description.json"


def write_pt2(program: torch.export.ExportedProgram, path: Path, description: Description) -> None:
    """Write a graph as torch.export does, with the description beside it in the file."""
    extra = {_DESCRIPTION: json.dumps(description.metadata(), ensure_ascii=False)}
    # Into memory first: on a full disk torch's writer of files ends the process.
    buffer = BytesIO()
    with quiet():
        torch.export.save(program, buffer, extra_files=extra)
    with writing(path):
        path.write_bytes(buffer.getbuffer())


def write_onnx(program: torch.export.ExportedProgram, path: Path, description: Description) -> None:
    """Write a graph as ONNX, the description in its metadata.

    Raises:
        ConfigError: it cannot be said in ONNX, or is too large for one file.
    """
    import onnx

    try:
        with torch.no_grad(), quiet():
            found = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[description.output],
            )
    except Exception as error:
        problem = f"{description.model} cannot be said in ONNX ({type(error).__name__}: "
        raise ConfigError("to", "onnx", f"{problem}{first_line(error)}); to=pt2 may do") from error
    assert found is not None
    if sum(each.nbytes for each in program.state_dict.values()) > _MOST_BYTES:
        problem = f"{description.model} is larger than one ONNX file may be, 2 GB; take to=pt2"
        raise ConfigError("to", "onnx", problem)
    model = found.model_proto
    _name_batch(model)
    save_onnx(model, path, description)
    onnx.checker.check_model(path)


def save_onnx(model: "onnx.ModelProto", path: Path, description: Description) -> None:
    """Write an ONNX model with what it is to say of itself."""
    import onnx

    del model.metadata_props[:]
    onnx.helper.set_model_props(model, description.metadata())
    with writing(path):
        onnx.save(model, path)


def _name_batch(model: "onnx.ModelProto") -> None:
    """Call the number of images N: the exporter has names such as s34 for it."""
    ends = (*model.graph.input, *model.graph.output)
    name = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*ends, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if name and dim.dim_param == name:
                dim.dim_param = "N"


WRITERS: dict[str, Callable[[torch.export.ExportedProgram, Path, Description], None]] = {
    "onnx": write_onnx,
    "pt2": write_pt2,
}
