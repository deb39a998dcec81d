"""What a tar file holds: samples with labels, or one line on what is wrong with it."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.data.tars import write_tar
from transfer.data.encoded import read_at
from transfer.data.shard_samples import Samples, list_samples
from transfer.system.errors import ConfigError

SAMPLE = {"1.jpg": b"one", "1.cls": b"0"}


def _list(tmp_path: Path, members: object) -> Samples:
    return list_samples([write_tar(tmp_path / "a.tar", members)])  # type: ignore[arg-type]


def _labels(found: Samples) -> list[str]:
    return [found.words[number] for number in found.label]


def _refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        list_samples([path])
    line = str(refused.value)
    assert line.startswith(f"data.root={path}: ") and "\n" not in line
    return line


def test_samples_are_found_where_they_lie(tmp_path: Path) -> None:
    deep = "folder.v2/" + "long" * 40
    members = {
        "__info__": b"{",
        "a.JPG": b"one",
        "a.cls": b" 007\n",
        "a.json": b"of a .cls it is no matter",
        "b.json": json.dumps({"label": "cat", "more": [1]}).encode(),
        "b.png": b"other",
        "b.seg.png": b"a mask",
        "b.pyd": b"never read",
        f"{deep}.webp": b"third",
        f"{deep}.json": b'{"label": 3}',
        f"{deep}.cls": "Bär".encode(),
        "README": b"",
        "../../up.jpeg": b"up",
        "../../up.cls": b"00000000000007",
        "._a.jpg": b"of a file manager",
    }
    found = _list(tmp_path, members)
    pictures = [
        read_at(tmp_path / "a.tar", *place)
        for place in zip(found.offsets, found.sizes, strict=True)
    ]
    assert pictures == [b"one", b"other", b"third", b"up"]
    assert _labels(found) == ["7", "cat", "Bär", "7"]
    names = ["a.JPG", "b.png", f"{deep}.webp", "../../up.jpeg"]
    assert [found.name(index) for index in range(4)] == names
    assert found.left_out == {"__info__": 1, "without suffix": 1, ".jpg": 1}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([], "holds no sample, such as 000123.jpg with 000123.cls"),
        ([("1.jpg", b""), ("2.jpg", b""), ("2.cls", b"0")], "sample 1 has no label; it needs a"),
        ([("1.jpg", b""), ("1.cls", b" \n")], "sample 1 has no label"),
        ([("1.jpg", b""), ("1.json", b'{"other": 1}')], "sample 1 has no label"),
        ([("1.jpg", b""), ("1.json", b'{"label": 1.5}')], "is neither a whole number nor a name"),
        ([("1.jpg", b""), ("1.json", b'{"label": true}')], "is neither a whole number nor a name"),
        ([("1.jpg", b""), ("1.json", b"{")], "1.json cannot be read (Expecting property name"),
        ([("1.jpg", b""), ("1.json", b"[" * 99_999)], "1.json cannot be read ("),
        ([("1.jpg", b""), ("1.cls", b"\xff")], "1.cls cannot be read ('utf-8' codec"),
        ([("1.jpg", b""), ("1.cls", b"a\nb")], "label of sample 1 must be one line without"),
        (
            [("1.jpg", b""), ("1.cls", b"0"), ("1.txt", b"x"), ("2.jpg", b""), ("2.txt", b"x")],
            ".txt",
        ),
        ([("1.jpg", b""), ("1.json", b'{"cls": 1}')], "the fields of the .json: cls"),
        ([("1.jpg", b""), ("1.cls", b"-1")], "the label of sample 1 is -1; numbers count from 0"),
        ([("1.jpg", b""), ("1.json", b'{"label": "%s"}' % (b"9" * 4301))], "has 4,301 characters"),
        ([(f"I.{n}.png", b"") for n in range(9)], ".4.png and 4 more; what precedes the first dot"),
        ([("1.jpg", b""), ("1.cls", bytes(2000))], "1.cls has 2,000 bytes, too many for a label"),
        ([("1.cls", b"0"), ("1.txt", b"")], "sample 1 has no picture that is read, but .cls, .txt"),
        ([("1.heic", b""), ("1.cls", b"0")], "that is HEIC: save it as JPEG or PNG"),
        ([("1.jpg", b""), ("1.png", b""), ("1.cls", b"0")], "has two pictures, 1.jpg and 1.png"),
        ([("1.jpg", b""), ("1.jpg", b""), ("1.cls", b"0")], "holds 1.jpg twice"),
        (
            [*SAMPLE.items(), ("2.jpg", b""), ("2.cls", b"0"), *SAMPLE.items()],
            "holds sample 1 twice, and other samples between",
        ),
    ],
)
def test_a_sample_that_is_none_is_refused(
    tmp_path: Path, members: list[tuple[str, bytes]], words: str
) -> None:
    assert words in _refusal(write_tar(tmp_path / "a.tar", members))


def test_a_shard_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"1.jpg": bytes(3000), "1.cls": b"0", "2.jpg": b"x"})
    whole = path.read_bytes()
    for content, words in {
        b"": "is no whole tar file (empty file)",
        b"some words": "is no whole tar file (truncated header)",
        bytes(range(256)) * 40: "is no whole tar file (invalid header)",
        whole[:2000]: "is no whole tar file (unexpected end of data)",
        # Within a header, and between a member and the next: tarfile takes these for the end.
        whole[:3700]: "is damaged at byte 3,584",
        whole[:4608]: "is cut off: it lacks the end mark of a tar file",
        whole[:3600] + b"?" + whole[3601:]: "is damaged at byte 3,584",
        whole + whole: "goes on after its end, as joined tar files do",
    }.items():
        path.write_bytes(content)
        assert words in _refusal(path), words
    path.unlink()
    assert "cannot be read (No such file" in _refusal(path)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.DIRTYPE, None),
        (tarfile.SYMTYPE, "holds l.jpg as a link to another file; write its content"),
        (tarfile.LNKTYPE, "holds l.jpg as a link to another member; write its content"),
        (tarfile.FIFOTYPE, "holds l.jpg as no file; remove it"),
    ],
)
def test_links_and_folders_are_no_pictures(tmp_path: Path, kind: bytes, words: str | None) -> None:
    def write(name: str) -> None:
        with tarfile.open(tmp_path / "a.tar", "w") as tar:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
            for each, content in SAMPLE.items():
                member = tarfile.TarInfo(each)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))

    write("l.jpg")
    if words is not None:
        assert words in _refusal(tmp_path / "a.tar")
        # Beside the samples, it is as any other file.
        write("l.txt")
    found = list_samples([tmp_path / "a.tar"])
    assert len(found) == 1 and found.left_out == ({".txt": 1} if words else {})


@pytest.mark.parametrize("kind", [b"0", b"S", b"V", b"L", b"x"])
@pytest.mark.parametrize("size", [-(2**62), -(2**40), -512, -1, 2**40, 2**62, 2**80])
def test_sizes_that_cannot_be_are_refused(tmp_path: Path, kind: bytes, size: int) -> None:
    path = write_tar(tmp_path / "a.tar", SAMPLE)
    header = bytearray(path.read_bytes()[:512])
    header[156:157] = kind
    header[124:136] = (b"\xff" if size < 0 else b"\x80") + (size % 2**88).to_bytes(11, "big")
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:]) + 8 * 32)
    path.write_bytes(path.read_bytes()[:2048] + header + bytes(10240))
    words = ("is no whole tar file (", "is damaged at byte 2,048", "as a sparse file")
    line = _refusal(path)
    assert any(each in line for each in words)


def test_what_webdataset_writes_is_read_as_it_reads_it(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    with webdataset.ShardWriter(f"{tmp_path}/%06d.tar", maxcount=4, verbose=0) as writer:
        for index in range(10):
            writer.write({"__key__": f"{index:03}", "jpg": bytes([index]), "cls": index % 3})
    shards = sorted(tmp_path.glob("*.tar"))
    found = list_samples(shards)
    assert len(shards) == 3
    read = webdataset.WebDataset([str(path) for path in shards], shardshuffle=False)
    for index, sample in enumerate(read):
        place = (shards[found.shard[index]], found.offsets[index], found.sizes[index])
        assert read_at(*place) == sample["jpg"]
        assert found.name(index) == f"{sample['__key__']}.jpg"
        assert found.words[found.label[index]] == sample["cls"].decode()
    assert index == len(found) - 1
