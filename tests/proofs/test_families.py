"""Every family of models trains in every way: from random weights and from a checkpoint, its head
alone on images and on stored features, at its smallest size and at another, and is exported.

The table in docs/models.md holds what was found; PROOF_WRITE=1 writes it, else it is compared.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.families import WAYS, try_ways, write_images
from transfer.models.families import meta_model
from transfer.system.errors import ConfigError

TABLE = ROOT / "docs" / "models.md"
# Sizes that are tried for the smallest, pixels.
LADDER = (8, 16, 24, 32, 48, 64, 75, 96, 128, 160, 192, 224)


def _of_timm(family: str, *models: tuple[str, int, int]) -> list[tuple[str, str, int, int]]:
    return [(family, f"timm/{name}", smallest, other) for name, smallest, other in models]


# The family, the model, its smallest size on the ladder, and another.
ROWS = [
    ("LeNet", "lenet", 32, 48),
    ("plain CNN", "simple_cnn", 16, 48),
    ("AlexNet", "alexnet", 64, 96),
    ("VGG", "vgg11", 32, 64),
    ("GoogLeNet", "googlenet", 16, 48),
    ("Inception", "inception_v3", 75, 96),
    ("ResNet", "resnet18", 8, 48),
    ("ResNeXt", "resnext50_32x4d", 8, 48),
    ("Wide ResNet", "wide_resnet50_2", 8, 48),
    ("DenseNet", "densenet121", 32, 48),
    ("MobileNetV2", "mobilenet_v2", 8, 48),
    ("MobileNetV3", "mobilenet_v3_small", 8, 48),
    ("MNASNet", "mnasnet0_5", 8, 48),
    ("EfficientNet", "efficientnet_b0", 8, 48),
    ("EfficientNetV2", "efficientnet_v2_s", 8, 48),
    ("EfficientNet-Lite", "efficientnet_lite0", 8, 48),
    ("ShuffleNet", "shufflenet_v2_x0_5", 8, 48),
    ("SqueezeNet", "squeezenet1_1", 24, 48),
    ("RegNet", "regnet_y_400mf", 8, 48),
    ("ConvNeXt", "convnext_tiny", 32, 48),
    ("ViT", "vit_b_16", 16, 48),
    ("Swin", "swin_t", 8, 48),
    ("Swin V2", "swin_v2_t", 8, 48),
    ("MaxViT", "maxvit_t", 224, 448),
    ("timm's ConvNeXt", "timm/convnext_nano", 32, 48),
    *_of_timm(
        "Quick-Tune",
        ("beit_base_patch16_384", 16, 48),
        ("beit_large_patch16_512", 16, 48),
        ("convnext_small", 32, 48),
        ("deit3_small_patch16_384", 16, 48),
        ("dla46x_c", 32, 64),
        ("edgenext_small", 32, 48),
        ("edgenext_small_rw", 8, 48),
        ("edgenext_x_small", 32, 48),
        ("edgenext_xx_small", 32, 48),
        ("mobilevit_xs", 8, 48),
        ("mobilevit_xxs", 8, 48),
        ("mobilevitv2_075", 8, 48),
        ("swinv2_base_window12to24_192to384", 8, 48),
        ("tf_efficientnet_b4", 8, 48),
        ("tf_efficientnet_b6", 8, 48),
        ("tf_efficientnet_b7", 8, 48),
        ("volo_d1_384", 16, 48),
        ("volo_d3_448", 16, 48),
        ("volo_d4_448", 16, 48),
        ("volo_d5_448", 16, 48),
        ("volo_d5_512", 16, 48),
        ("xcit_nano_12_p8_384", 8, 48),
        ("xcit_small_12_p8_384", 8, 48),
        ("xcit_tiny_12_p8_384", 8, 48),
        ("xcit_tiny_24_p8_384", 8, 48),
    ),
    *_of_timm(
        "AutoGluon",
        ("mobilenetv3_large_100", 8, 48),
        ("resnet18", 8, 48),
        ("resnet50", 8, 48),
        ("maxvit_rmlp_pico_rw_256", 32, 64),
        ("caformer_b36", 8, 48),
        ("swin_base_patch4_window7_224", 8, 48),
        ("convnext_base", 32, 48),
        ("vit_base_patch16_clip_224", 16, 48),
        ("swin_large_patch4_window7_224", 8, 48),
        ("eva_large_patch14_336", 16, 56),
        ("vit_large_patch14_clip_336", 16, 56),
    ),
]
# Millions of parameters from which the head alone is trained: a step of all takes four times as
# much memory, and minutes.
LARGE = 150


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder)
    return folder


@pytest.mark.parametrize("row", ROWS, ids=[name for _, name, _, _ in ROWS])
def test_a_family_trains_in_every_way(
    row: tuple[str, str, int, int], images: Path, tmp_path: Path
) -> None:
    family, name, smallest, other = row
    parameters = sum(each.numel() for each in meta_model(name, smallest).parameters()) / 1e6
    smaller = [size for size in LADDER if size < smallest]
    if smaller:
        with pytest.raises(ConfigError, match="image_size"):
            meta_model(name, smaller[-1])
    large = parameters > LARGE
    tried = try_ways(name, smallest, other, images, tmp_path, head_alone=large)
    marks = ["yes" if tried[way] else "-" for way in WAYS]
    _compare_or_write([family, f"`{name}`", f"{parameters:.1f}", f"{smallest}, {other}", *marks])


def test_the_table_has_no_other_rows() -> None:
    listed = re.findall(r"^\|[^|]+\| (`[^|]+`) \|", TABLE.read_text(), flags=re.MULTILINE)
    assert listed == [f"`{name}`" for _, name, _, _ in ROWS]


def _compare_or_write(cells: list[str]) -> None:
    row = f"| {' | '.join(cells)} |"
    print(row)
    lines = TABLE.read_text().splitlines()
    (at,) = [index for index, line in enumerate(lines) if f"| {cells[1]} |" in line]
    if os.environ.get("PROOF_WRITE"):
        lines[at] = row
        TABLE.write_text("\n".join(lines) + "\n")
    else:
        assert lines[at] == row, "PROOF_WRITE=1 writes docs/models.md anew"
