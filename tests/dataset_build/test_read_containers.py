"""Folders, tars and zips give the same parts; damaged and hostile archives give rejects or one clear line."""

import gzip
import io
import json
import random
import struct
import tarfile
import zipfile

import pytest

from benchmarks.fuzz_inputs import MAKERS, part_json
from cadcoder.errors import CadCoderError, ConfigError
from dataset_build.files import open_files
from dataset_build.parts import Part
from dataset_build.readers import containers
from dataset_build.readers.rejects import MAX_BYTES, Reason, Reject

NAMES = [f"data/cad_json/000{k}/0000000{k}.json" for k in range(4)]
TEXT = json.dumps(part_json(False)).encode()
OTHERS = {"data/train_val_test_split.json": b"{}", "data/cad_vec/0000/00000000.h5": b"", "data/notes.json": b"[]"}


def tar_bytes(members, mode="w", **kinds):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as t:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            if name in kinds:
                info.type, info.linkname = kinds[name], "/etc/passwd"
                t.addfile(info)
            else:
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip_bytes(members, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in members.items():
            z.writestr(name, data)
    return out.getvalue()


def rows(path):
    found = open_files("deepcad-json", path, None)
    parts = [found.part(i) for i in range(len(found))]
    return [found.name(i) for i in range(len(found))], parts


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """One set as a folder and as every kind of archive."""
    at = tmp_path_factory.mktemp("published")
    members = dict.fromkeys(NAMES, TEXT) | OTHERS
    for name, data in members.items():
        (at / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (at / "set" / name).write_bytes(data)
    (at / "set.tar").write_bytes(tar_bytes(members))
    (at / "set.tar.gz").write_bytes(tar_bytes(members, "w:gz"))
    (at / "set.tgz").write_bytes(tar_bytes(members, "w:gz"))
    (at / "set.zip").write_bytes(zip_bytes(members))
    (at / "stored.zip").write_bytes(zip_bytes(members, zipfile.ZIP_STORED))
    return at


@pytest.mark.parametrize(
    "name", ["set/data", "set/data/cad_json", "set.tar", "set.tar.gz", "set.tgz", "set.zip", "stored.zip"]
)
def test_the_same_parts_from_everywhere(published, name):
    names, parts = rows(published / name)
    assert names == [n.removeprefix("data/cad_json/") for n in NAMES]
    assert [p.source for p in parts] == [f"deepcad-json/{n}" for n in names]
    assert all(isinstance(p, Part) and len(p.program.extrudes) == 2 for p in parts)


def test_a_tar_gz_is_read_in_any_order(published):
    found = open_files("deepcad-json", published / "set.tgz", None)
    assert [found.part(i).program for i in (3, 0, 2, 2)] == [found.part(0).program] * 4


def test_one_file_is_a_set(published):
    names, (part,) = rows(published / "set" / NAMES[0])
    assert names == ["00000000.json"] and isinstance(part, Part)


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_names_that_lead_out_are_refused(tmp_path, kind):
    members = dict.fromkeys(("/etc/a.json", "x/../../b.json", "c.json"), TEXT)
    path = tmp_path / f"set.{kind}"
    path.write_bytes(zip_bytes(members) if kind == "zip" else tar_bytes(members, "w:gz" if kind != "tar" else "w"))
    names, parts = rows(path)
    found = dict(zip(names, parts, strict=True))
    assert isinstance(found.pop("c.json"), Part)
    assert {(p.reason, p.detail) for p in found.values()} == {
        (Reason.UNSAFE, "an absolute name"),
        (Reason.UNSAFE, "a name that leads out of the archive"),
    }


def test_links_are_refused(tmp_path):
    members = dict.fromkeys(("a.json", "b.json", "c.json", "d.json"), TEXT)
    kinds = {"a.json": tarfile.SYMTYPE, "b.json": tarfile.LNKTYPE, "c.json": tarfile.FIFOTYPE}
    (tmp_path / "s.tar").write_bytes(tar_bytes(members, **kinds))
    _, parts = rows(tmp_path / "s.tar")
    assert [getattr(p, "reason", "") for p in parts] == [Reason.UNSAFE] * 3 + [""]
    info = zipfile.ZipInfo("a.json")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as z:
        z.writestr(info, "/etc/passwd")
    _, (link,) = rows(tmp_path / "s.zip")
    assert link.reason is Reason.UNSAFE and link.detail == "a symbolic link"


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_a_tar_that_was_cut_off_says_what_is_lost(tmp_path, kind):
    whole = tar_bytes(dict.fromkeys(NAMES, TEXT))
    path = tmp_path / f"set.{kind}"
    cut = whole[: 2 * (512 + -(-len(TEXT) // 512) * 512) + 700]
    path.write_bytes(cut if kind == "tar" else gzip.compress(whole)[:-40] if kind == "tar.gz" else b"")
    _, parts = rows(path)
    lost = [p for p in parts if isinstance(p, Reject)]
    assert lost and all(p.reason is Reason.UNREADABLE for p in lost)
    assert any("what follows is lost" in p.detail for p in lost)
    assert isinstance(parts[0], Part)


def test_a_damaged_header_does_not_end_the_list_silently(tmp_path):
    whole = bytearray(tar_bytes(dict.fromkeys(NAMES, TEXT)))
    step = 512 + -(-len(TEXT) // 512) * 512
    whole[2 * step + 150] ^= 0xFF  # within the checksum of the third header
    (tmp_path / "set.tar").write_bytes(whole)
    names, parts = rows(tmp_path / "set.tar")
    assert [isinstance(p, Part) for p in parts] == [True, True, False]
    assert names[-1] == "set.tar" and "2 files" in parts[-1].detail


@pytest.mark.parametrize("name", ["a.tar", "a.tgz", "a.zip"])
@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04", gzip.compress(b"no tar at all" * 99, mtime=0)])
def test_what_is_no_archive_is_one_clear_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as e:
        open_files("deepcad-json", tmp_path / name, None)
    assert "\n" not in str(e.value) and name in str(e.value)


def test_bombs(tmp_path):
    # A zip that promises little and unpacks to much, one that promises too much, and a tar.gz of a huge hole.
    data = zip_bytes({"a.json": bytes(3 * 2**20)})
    lying = data.replace(struct.pack("<I", 3 * 2**20), struct.pack("<I", 100))
    (tmp_path / "lying.zip").write_bytes(lying)
    assert rows(tmp_path / "lying.zip")[1][0].reason is Reason.UNREADABLE
    (tmp_path / "big.zip").write_bytes(data.replace(struct.pack("<I", 3 * 2**20), struct.pack("<I", MAX_BYTES + 1)))
    assert rows(tmp_path / "big.zip")[1][0].reason is Reason.TOO_LARGE
    good, bad = tarfile.TarInfo("a.json"), tarfile.TarInfo("b.json")
    good.size, bad.size = len(TEXT), 2**40
    content = good.tobuf() + TEXT + bytes(-len(TEXT) % 512) + bad.tobuf() + bytes(4096)
    (tmp_path / "hole.tgz").write_bytes(gzip.compress(content))
    _, parts = rows(tmp_path / "hole.tgz")
    assert isinstance(parts[0], Part) and [p.reason for p in parts[1:]] == [Reason.TOO_LARGE] * 2


def test_a_zip_member_with_a_wrong_checksum(tmp_path):
    data = bytearray(zip_bytes({"a.json": TEXT, "b.json": TEXT}, zipfile.ZIP_STORED))
    data[60] ^= 1
    (tmp_path / "set.zip").write_bytes(data)
    _, parts = rows(tmp_path / "set.zip")
    assert parts[0].reason is Reason.UNREADABLE and "checksum" in parts[0].detail and isinstance(parts[1], Part)


def test_a_zip_with_a_file_without_a_name(tmp_path):
    data = zip_bytes({"a.json": TEXT, "b.json": TEXT}, zipfile.ZIP_STORED).replace(b"b.json", b"\0.json")
    (tmp_path / "set.zip").write_bytes(data)
    names, parts = rows(tmp_path / "set.zip")
    assert names == ["?", "a.json"] and isinstance(parts[1], Part) and parts[0].reason is Reason.UNSAFE


def test_names_that_are_not_utf8_can_be_written(tmp_path):
    folder = str(tmp_path)
    with open(folder.encode() + b"/\xff.json", "wb") as f:
        f.write(TEXT)
    names, (part,) = rows(tmp_path)
    assert names == ["?.json"] and part.source == "deepcad-json/?.json"


def test_a_folder_without_inputs_is_one_clear_line(tmp_path):
    with pytest.raises(ConfigError, match="no file that ends in .json"):
        open_files("deepcad-json", tmp_path, None)


@pytest.mark.parametrize("reader", sorted(MAKERS))
def test_damaged_inputs_end_as_programs_or_reasons(reader, tmp_path):
    feed = MAKERS[reader](tmp_path)
    for i in range(150):
        try:
            parts = feed(random.Random(f"test/{reader}/{i}"), tmp_path)
        except CadCoderError as e:
            assert "\n" not in str(e)
            continue
        assert all(isinstance(p, Part) or p.reason is not Reason.INTERNAL for p in parts)
    containers._handle.cache_clear()
