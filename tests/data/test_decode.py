"""One file becomes RGB as its format's definition has it."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.damage import refusal
from transfer.data import decode
from transfer.data.decode import decode_or_refuse

# pytest takes back the filters that the decoder sets for warnings.
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning"
)

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def _pixels(path: Path) -> np.ndarray:
    picture = decode_or_refuse(path, key="image")
    assert picture.mode == "RGB"
    return np.asarray(picture)


def _grey(levels: np.ndarray) -> np.ndarray:
    return np.repeat(levels[:, :, None], 3, axis=2)


def _over_white(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """By the definition of "over", in floating point. color: [H, W, 3]; alpha: [H, W]."""
    share = alpha[:, :, None] / 255
    return color * share + 255 * (1 - share)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "pgm"])
def test_grey_has_three_equal_channels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"grey.{suffix}"
    Image.fromarray(RAMP).save(path, lossless=True)
    np.testing.assert_array_equal(_pixels(path), _grey(RAMP))


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    bits = RAMP % 3 == 0
    for suffix in ("png", "tif", "pbm"):
        Image.fromarray(bits).save(tmp_path / f"bits.{suffix}")
        np.testing.assert_array_equal(
            _pixels(tmp_path / f"bits.{suffix}"), _grey(np.where(bits, 255, 0))
        )


def test_alpha_is_laid_over_white(tmp_path: Path, photo: Image.Image) -> None:
    color = np.asarray(photo.resize((16, 16)))
    rgba = Image.fromarray(np.dstack([color, RAMP]))
    for suffix in ("png", "tif", "webp"):
        rgba.save(tmp_path / f"alpha.{suffix}", lossless=True, exact=True)
        expected = _over_white(color, RAMP)
        np.testing.assert_allclose(_pixels(tmp_path / f"alpha.{suffix}"), expected, atol=1)
    grey_alpha = Image.merge("LA", [Image.fromarray(RAMP.T.copy()), Image.fromarray(RAMP)])
    grey_alpha.save(tmp_path / "grey.png")
    expected = _over_white(_grey(RAMP.T), RAMP)
    np.testing.assert_allclose(_pixels(tmp_path / "grey.png"), expected, atol=1)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_palette_gives_its_colours_and_white_where_transparent(
    tmp_path: Path, suffix: str
) -> None:
    palette = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 99, 199]], dtype=np.uint8)
    index = RAMP % 4
    picture = Image.fromarray(index, "P")
    picture.putpalette(palette.tobytes())
    picture.save(tmp_path / f"palette.{suffix}")
    np.testing.assert_array_equal(_pixels(tmp_path / f"palette.{suffix}"), palette[index])
    picture.save(tmp_path / f"hole.{suffix}", transparency=1)
    palette[1] = 255
    np.testing.assert_array_equal(_pixels(tmp_path / f"hole.{suffix}"), palette[index])


def test_a_palette_with_levels_of_transparency(tmp_path: Path) -> None:
    picture = Image.fromarray(RAMP % 2, "P")
    picture.putpalette([200, 100, 0, 0, 0, 0])
    picture.save(tmp_path / "levels.png", transparency=bytes([51, 255]))
    expected = np.where((RAMP % 2 == 0)[:, :, None], [244, 224, 204], [0, 0, 0])
    np.testing.assert_allclose(_pixels(tmp_path / "levels.png"), expected, atol=1)


def test_cmyk_is_converted_by_its_definition(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    inks = random.integers(0, 256, (16, 16, 4), dtype=np.uint8)
    expected = (255 - inks[:, :, :3].astype(int)) * (255 - inks[:, :, 3:].astype(int)) / 255
    Image.fromarray(inks, "CMYK").save(tmp_path / "inks.tif")
    np.testing.assert_allclose(_pixels(tmp_path / "inks.tif"), expected, atol=1)
    # JPEG holds smooth pictures only: four fields of one colour each.
    fields = np.kron(inks[:2, :2], np.ones((16, 16, 1), dtype=np.uint8))
    Image.fromarray(fields, "CMYK").save(tmp_path / "inks.jpg", quality=100)
    expected = np.kron(expected[:2, :2], np.ones((16, 16, 1)))
    np.testing.assert_allclose(_pixels(tmp_path / "inks.jpg"), expected, atol=4)


def test_ycck_is_cmyk_in_other_coordinates(tmp_path: Path) -> None:
    inks = np.full((16, 16, 4), (0, 255, 255, 0), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(inks, "CMYK").save(file, "JPEG", quality=100)
    # Adobe's marker names the coordinates in its last byte: 0 CMYK, 2 YCCK. Adobe stores inks
    # inverted: 255, 0, 0, 255 here, which as YCCK are Y, Cb, Cr of the inks C, M, Y, and no K.
    content = file.getvalue()
    index = content.index(b"Adobe") + 11
    assert content[index] == 0
    (tmp_path / "ycck.jpg").write_bytes(content[:index] + b"\2" + content[index + 1 :])
    luma, blue, red = 255, 0 - 128, 0 - 128
    cmy = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    expected = np.broadcast_to(255 - np.clip(cmy, 0, 255), (16, 16, 3))
    np.testing.assert_allclose(_pixels(tmp_path / "ycck.jpg"), expected, atol=2)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path, suffix: str) -> None:
    levels = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(levels).save(tmp_path / f"deep.{suffix}")
    np.testing.assert_allclose(_pixels(tmp_path / f"deep.{suffix}"), _grey(levels / 257), atol=1)


def _tiff(levels: np.ndarray, bits: int, photometric: int, order: str) -> bytes:
    """A grey TIFF put together by hand; levels: integers [H, W], packed already if bits=12."""
    height, width = 16, 16
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 277: 1, 278: height}
    data = levels.astype(levels.dtype.newbyteorder(order)).tobytes()
    tags |= {273: 8 + 2 + 12 * 9 + 4, 279: len(data)}
    entries = b"".join(
        struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in sorted(tags.items())
    )
    magic = b"II" if order == "<" else b"MM"
    header = magic + struct.pack(f"{order}HI", 42, 8)
    return header + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + data


def test_a_tiff_of_either_byte_order_depth_and_sense(tmp_path: Path) -> None:
    path = tmp_path / "grey.tif"
    deep = RAMP.astype(np.uint16) * 257
    for order in "<>":
        path.write_bytes(_tiff(deep, 16, 1, order))
        np.testing.assert_array_equal(_pixels(path), _grey(RAMP))
    path.write_bytes(_tiff(deep, 16, 0, "<"))
    np.testing.assert_array_equal(_pixels(path), _grey(255 - RAMP))
    # Two levels of 12 bits fill three bytes.
    twelve = RAMP.astype(int) * 16 + 15
    first, second = twelve[:, ::2], twelve[:, 1::2]
    packed = np.dstack([first >> 4, (first & 15) << 4 | second >> 8, second & 255])
    path.write_bytes(_tiff(packed.astype(np.uint8).reshape(16, 24), 12, 1, "<"))
    np.testing.assert_array_equal(_pixels(path), _grey(RAMP))


def test_levels_without_black_and_white_are_refused(tmp_path: Path) -> None:
    for dtype in (np.float32, np.int32):
        Image.fromarray(RAMP.astype(dtype)).save(tmp_path / "levels.tif")
        assert "save it with 8 or 16 bits" in refusal(tmp_path / "levels.tif")


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_the_first_frame_of_an_animation_counts(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue", "lime")]
    path = tmp_path / f"frames.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_array_equal(_pixels(path), np.full((16, 16, 3), (255, 0, 0)))


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_a_picture_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    # EXIF says where the stored picture's row 0 and column 0 lie on the upright one.
    upright = np.zeros((32, 48), dtype=np.uint8)
    upright[:16, :16] = 255
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, lossless=True)
    np.testing.assert_allclose(_pixels(path), _grey(upright), atol=8)


def test_damaged_exif_is_no_damage_to_the_picture(tmp_path: Path) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x09\0\0\xff\xff"
    Image.new("RGB", (8, 4), "red").save(tmp_path / "odd.jpg", exif=exif)
    assert _pixels(tmp_path / "odd.jpg").shape == (4, 8, 3)


def test_the_content_counts_not_the_suffix(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "really.png")
    (tmp_path / "really.png").rename(tmp_path / "named.jpg")
    np.testing.assert_array_equal(_pixels(tmp_path / "named.jpg"), _grey(RAMP))


def test_a_huge_jpeg_is_decoded_small_and_a_small_one_exactly(
    tmp_path: Path, photo: Image.Image
) -> None:
    path = tmp_path / "photo.jpg"
    photo.save(path)
    exact = decode.resize_square(decode_or_refuse(path, key="image"), 32)
    assert decode_or_refuse(path, key="image", side=32).tobytes() == exact.tobytes()
    # Of bytes that are no file of their own, likewise.
    named = decode_or_refuse(Path("in/an/archive.jpg"), key="image", content=path.read_bytes())
    assert decode.resize_square(named, 32).tobytes() == exact.tobytes()
    # 12 million pixels, as of a telephone.
    photo.resize((4000, 3000)).save(path)
    whole = decode_or_refuse(path, key="image")
    small = decode_or_refuse(path, key="image", side=64)
    difference = np.asarray(small).astype(int) - np.asarray(decode.resize_square(whole, 64))
    assert np.abs(difference).mean() < 1
    # Its shape is the file's, upright: by it, one tells whether all are squares of one size.
    assert small.info["shape"] == (4000, 3000)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (2104, 2100)).save(path, exif=exif)
    assert decode_or_refuse(path, key="image", side=64).info["shape"] == (2100, 2104)


def test_a_square_up_to_the_side_is_kept(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "square.png")
    for side in (16, 64):
        kept = decode_or_refuse(tmp_path / "square.png", key="image", side=side)
        np.testing.assert_array_equal(np.asarray(kept), _grey(RAMP))
    assert decode_or_refuse(tmp_path / "square.png", key="image", side=8).size == (8, 8)
