"""Files as they are published: in a folder, or in a tar, tar.gz or zip that is never unpacked.

A container is listed once; after that any process reads any of its files by number. In a tar or a zip a file is found
by its offset. A tar.gz has none, so every process keeps a stream of its own that runs forwards, and begins again when
an earlier file is asked for. Nothing is written to the disk, and no name is ever used as a path, so that a name that
leads out of the archive does no harm; it is refused all the same, as a link is, since no published set has one.

Formats: POSIX ustar, GNU and pax tar (by ``tarfile``), gzip (RFC 1952), zip with stored and deflated members (PKWARE
APPNOTE 6.3, also zip64).
"""

from __future__ import annotations

import gzip
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from cadcoder.errors import ConfigError
from dataset_build.readers.rejects import MAX_BYTES, Reason, Refused, read_bytes

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
#: A compressed tar that grows by more than this is a bomb: JSON shrinks to a tenth, deflate can do a thousandth.
MAX_GROWTH = 100
#: Below this many bytes nothing is a bomb.
SMALL = 256 * 2**20

_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a container.

    Attributes:
        name: its path within the container, with slashes.
        offset: where its bytes (tar) or its local header (zip) begin; in a tar.gz, within the unpacked tar.
        size: bytes it has.
        packed: bytes it takes in a zip.
        method: how it is packed in a zip.
        crc: checksum of its bytes in a zip.
        refused: why it cannot be read, where the listing told already.
        reason: what kind of refusal that is.
    """

    name: str
    offset: int = 0
    size: int = 0
    packed: int = 0
    method: int = _STORED
    crc: int = 0
    refused: str = ""
    reason: Reason = Reason.UNREADABLE


@dataclass(frozen=True, slots=True)
class Container:
    """The files of a folder or an archive; small enough to be sent to a worker.

    Attributes:
        kind: ``folder``, ``tar``, ``tar.gz`` or ``zip``.
        path: absolute, of the folder or the archive.
        entries: the files, in the order of their names; of a tar.gz, which can only be read forwards, in its own.
    """

    kind: str
    path: str
    entries: tuple[Entry, ...]

    def read(self, entry: Entry) -> bytes:
        """Return a file's bytes.

        Raises:
            Refused: ``UNREADABLE``, ``TOO_LARGE`` or ``UNSAFE``.
        """
        if entry.refused:
            raise Refused(entry.reason, "", entry.refused)
        if self.kind == "folder":
            return read_bytes(Path(self.path) / entry.name)
        if max(entry.size, entry.packed) > MAX_BYTES:
            raise Refused(Reason.TOO_LARGE, "", f"{max(entry.size, entry.packed)} bytes; the limit is {MAX_BYTES}")
        try:
            if self.kind == "zip":
                return _unzipped(_handle(self.kind, self.path), entry)
            file = _handle(self.kind, self.path)
            file.seek(entry.offset)
            data = file.read(entry.size)
        except (OSError, EOFError, zlib.error) as e:
            raise Refused(Reason.UNREADABLE, "", f"the archive cannot be read here: {e}") from e
        if len(data) < entry.size:
            raise Refused(Reason.UNREADABLE, "", f"the archive ends after {len(data)} of {entry.size} bytes")
        return data


def open_container(path: Path, wanted: Callable[[str], bool]) -> Container:
    """Return what a folder or an archive holds.

    Args:
        path: a folder, an archive, or a file that is the only one.
        wanted: which names are inputs; the others are not listed.

    Raises:
        ConfigError: if an archive cannot be listed at all. What a damaged one holds before the damage is listed, with
            an entry for the rest that is refused when it is read.
    """
    if path.is_dir():
        return Container("folder", str(path.resolve()), tuple(_walked(path, wanted)))
    kind = archive_kind(path)
    if kind is None:
        return Container("folder", str(path.parent.resolve()), (Entry(path.name),))
    try:
        entries = list(_zip_entries(path, wanted) if kind == "zip" else _tar_entries(path, kind, wanted))
    except OSError as e:
        raise ConfigError(f"--input: {path} cannot be read: {e.strerror or e}") from e
    if kind != "tar.gz":
        entries.sort(key=lambda e: (e.name == path.name, e.name))  # the damage, if any, stands last
    return Container(kind, str(path.resolve()), tuple(entries))


def shown(name: str) -> str:
    """Return a name fit for a table: one that is not UTF-8 on the disk is shown with question marks."""
    return name.encode("utf-8", "replace").decode("utf-8")


def archive_kind(path: Path) -> str | None:
    """Return ``tar``, ``tar.gz`` or ``zip`` by the file's name, None for any other file."""
    name = path.name.lower()
    if name.endswith((".tar.gz", ".tgz")):
        return "tar.gz"
    return "tar" if name.endswith(".tar") else "zip" if name.endswith(".zip") else None


def _walked(folder: Path, wanted: Callable[[str], bool]) -> Iterator[Entry]:
    names = []
    for at, _, files in os.walk(folder):
        inner = Path(at).relative_to(folder)
        names += [n for n in ((inner / f).as_posix() for f in files) if wanted(n)]
    for name in sorted(names):
        if (folder / name).is_file():  # not a pipe or a socket, which would never end
            yield Entry(name)
        else:
            yield Entry(name, refused="not a plain file")


def _unsafe(name: str) -> str:
    """Return why a name of an archive is refused, empty where it is not."""
    if name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":"):
        return "an absolute name"
    return "a name that leads out of the archive" if ".." in name.replace("\\", "/").split("/") else ""


# ---- zip ------------------------------------------------------------------------------------------------------------


def _zip_entries(path: Path, wanted: Callable[[str], bool]) -> Iterator[Entry]:
    try:
        with zipfile.ZipFile(path) as z:
            infos = z.infolist()
    except OSError:
        raise
    except Exception as e:  # the module lets out what its parsing meets: struct, Unicode, overflow, not implemented
        what = " ".join(str(e).split())[:100] or type(e).__name__
        raise ConfigError(f"--input: {path} is not a whole zip ({what}); download it again") from e
    for i in infos:
        if not i.filename:
            yield Entry("?", refused="a file without a name", reason=Reason.UNSAFE)
            continue
        if i.filename.endswith("/") or not wanted(i.filename):
            continue
        refused, reason = _unsafe(i.filename), Reason.UNSAFE
        if not refused and (i.external_attr >> 16) & 0o170000 == 0o120000:
            refused = "a symbolic link"
        if not refused and i.flag_bits & _ENCRYPTED:
            refused, reason = "it is encrypted", Reason.UNREADABLE
        if not refused and i.compress_type not in (_STORED, _DEFLATED):
            refused, reason = f"compression method {i.compress_type} is not read; pack it again", Reason.UNREADABLE
        size, packed = i.file_size, i.compress_size
        yield Entry(i.filename, i.header_offset, size, packed, i.compress_type, i.CRC, refused, reason)


def _unzipped(file: IO[bytes], entry: Entry) -> bytes:
    file.seek(entry.offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise Refused(Reason.UNREADABLE, "", "the archive has no file where its list says so")
    name, extra = struct.unpack("<HH", header[26:30])
    file.seek(name + extra, os.SEEK_CUR)
    packed = file.read(entry.packed)
    if len(packed) < entry.packed:
        raise Refused(Reason.UNREADABLE, "", f"the archive ends after {len(packed)} of {entry.packed} bytes")
    if entry.method == _DEFLATED:
        # One byte more than is promised tells a bomb from what it claims to be.
        data = zlib.decompressobj(-15).decompress(packed, entry.size + 1)
    else:
        data = packed
    if len(data) != entry.size:
        raise Refused(Reason.UNREADABLE, "", f"the archive promises {entry.size} bytes, and others come out")
    if zlib.crc32(data) != entry.crc:
        raise Refused(Reason.UNREADABLE, "", "its checksum is wrong")
    return data


# ---- tar ------------------------------------------------------------------------------------------------------------


class _Bounded:
    """A file that gives no more than a reader of headers can want, and knows when too much has come out of it."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file, self._limit = file, limit

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_BYTES:
            raise tarfile.ReadError("a header of impossible size")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        if self._limit and (offset if whence == 0 else self._file.tell() + offset) > self._limit:
            raise _Bomb
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


class _Bomb(Exception):
    """A compressed tar that has grown too much."""


def _tar_entries(path: Path, kind: str, wanted: Callable[[str], bool]) -> Iterator[Entry]:
    limit = max(SMALL, MAX_GROWTH * path.stat().st_size) if kind == "tar.gz" else 0
    opened: IO[bytes] = gzip.open(path) if kind == "tar.gz" else path.open("rb")  # type: ignore[assignment]
    found = 0
    with opened:
        try:
            bounded: Any = _Bounded(opened, limit)
            with tarfile.open(fileobj=bounded, mode="r:", errorlevel=1) as tar:
                while (member := tar.next()) is not None:
                    found += 1
                    tar.members = []  # type: ignore[attr-defined]  # it keeps every header otherwise
                    if not member.isdir() and wanted(member.name):
                        yield _tar_entry(member)
                # The module takes a bad header for the end; the true end is a block of zeros.
                bounded.seek(tar.offset)
                if bounded.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                    raise tarfile.ReadError(f"what follows {found} files is not a tar")
        except Exception as e:  # as with zip
            bomb = isinstance(e, _Bomb)
            what = f"more than {MAX_GROWTH} times its size comes out" if bomb else " ".join(str(e).split())[:100]
            if not found:
                raise ConfigError(f"--input: {path} is not a whole {kind} ({what}); download it again") from e
            reason = Reason.TOO_LARGE if bomb else Reason.UNREADABLE
            yield Entry(path.name, refused=f"the archive is damaged: {what}; what follows is lost", reason=reason)


def _tar_entry(member: tarfile.TarInfo) -> Entry:
    refused = _unsafe(member.name)
    if not refused and (member.issym() or member.islnk()):
        refused = "a link"
    if not refused and (not member.isreg() or member.issparse()):
        refused = "not a plain file"
    return Entry(member.name.removeprefix("./"), member.offset_data, member.size, refused=refused, reason=Reason.UNSAFE)


@lru_cache(maxsize=16)
def _handle(kind: str, path: str) -> IO[bytes]:
    """Return this process's own open file."""
    opened: Any = gzip.open(path) if kind == "tar.gz" else open(path, "rb")
    return opened  # type: ignore[no-any-return]
