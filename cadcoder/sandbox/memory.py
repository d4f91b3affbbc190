"""How the zygote lays out its memory, so that a fork of it and the end of a child cost little.

A fork copies every mapping and, where memory is private, every entry of the page tables; an end undoes it. In a process
with cadquery and its 220 libraries that is most of what a child costs beyond its work. So the zygote keeps few mappings
and few entries: Python's objects lie in one heap beside those of C, private memory is gathered in pages of 2 MB, what a
library's file holds anyway is forgotten until it is read again, and the read-only parts of a library are one mapping.
Children then allocate from fresh memory in place of holes all over the heap, each of which is a page to copy.

Nothing here changes what memory holds, and whatever a system does not have is left as it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cadcoder.sandbox import linux

if TYPE_CHECKING:  # its import shall lie in the one heap, too
    import numpy as np
    import numpy.typing as npt

_PAGE = 4096
_POOL = 1 << 14  # of Python's allocator: blocks of one size, after a header
_POOL_HEADER = 48
# <malloc.h>
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_LARGEST_FROM_HEAP = 32 << 20
_SPARE_HEAP = 16 << 20
_WORTH_MOVING = 16  # pages that a child needs, of 512
# Bits of an entry of /proc/self/pagemap, Documentation/admin-guide/mm/pagemap.rst.
_PRESENT, _OF_FILE = 1 << 63, 1 << 61


class _ArenaAllocator(ctypes.Structure):
    """PyObjectArenaAllocator of <cpython/pymem.h>."""

    _fields_ = [("context", ctypes.c_void_p), ("allocate", ctypes.c_void_p), ("free", ctypes.c_void_p)]


@contextlib.contextmanager
def one_heap() -> Iterator[None]:
    """Have Python take the memory of what is made meanwhile from the C library's heap.

    By itself it maps a megabyte at a time wherever there is room between the libraries, too little for large pages.
    Afterwards Python maps again; what it took from the heap stays there until it is unmapped by the megabyte.
    """
    libc: Any = ctypes.CDLL(None) if linux.IS_LINUX else None
    if not all(hasattr(libc, name) for name in ("mallopt", "aligned_alloc")) or os.sysconf("SC_PAGESIZE") != _PAGE:
        yield
        return
    _tune(libc)
    old, new = _ArenaAllocator(), _ArenaAllocator()
    ctypes.pythonapi.PyObject_GetArenaAllocator(ctypes.byref(old))
    # It is called with the context first, here the alignment. What is freed stays: ``abs`` does nothing.
    new.context = _POOL
    new.allocate = ctypes.cast(libc.aligned_alloc, ctypes.c_void_p).value
    new.free = ctypes.cast(libc.abs, ctypes.c_void_p).value
    ctypes.pythonapi.PyObject_SetArenaAllocator(ctypes.byref(new))
    try:
        yield
    finally:
        ctypes.pythonapi.PyObject_SetArenaAllocator(ctypes.byref(old))


def gather(work: Callable[[], object]) -> None:
    """Lay this process's memory out for forks; call it when all is imported and warm.

    Args:
        work: What a child typically does; it is done in one, to see which code that needs.
    """
    if not linux.IS_LINUX or os.sysconf("SC_PAGESIZE") != _PAGE:
        return
    _fill_holes_of_c()
    _fill_holes_of_python()
    with contextlib.suppress(OSError):
        _forget_files()
        _merge()
        _move_code(_needed(work))
    # Last, for whatever this process writes while a child of its own lives splits a large page.
    use_huge_pages()


def _tune(libc: Any) -> None:
    """Let the heap grow in large steps, never shrink, and serve large blocks, too."""
    libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_FROM_HEAP)
    libc.mallopt(_M_TRIM_THRESHOLD, 1 << 30)
    libc.mallopt(_M_TOP_PAD, _SPARE_HEAP)


class _MallocInfo(ctypes.Structure):
    """struct mallinfo2 of <malloc.h>; ``keepcost`` is what is free at the end of the heap."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def _fill_holes_of_c() -> None:
    """Take every free block of the C heap but its end, for good."""
    libc: Any = ctypes.CDLL(None)
    if not all(hasattr(libc, name) for name in ("mallopt", "mallinfo2")):
        return
    libc.mallinfo2.restype = _MallocInfo
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    for size in [1 << bits for bits in range(22, 10, -1)] + list(range(1024, 0, -16)):
        end = libc.mallinfo2().keepcost
        while True:
            block = libc.malloc(size)
            if libc.mallinfo2().keepcost != end:  # no hole is left that would have done
                libc.free(block)
                break


_filling: list[Any] = []


def _fill_holes_of_python() -> None:
    """Take the free blocks of Python's half-full pools, of every size."""
    for size in range(16, 513, 16):
        run = 0
        for _ in range(20_000):
            # 33 bytes of an object of bytes are its head; a plain object takes 16, a number 24.
            item = object() if size == 16 else float(len(_filling)) if size == 32 else bytes(size - 33)
            _filling.append(item)
            place = id(item) % _POOL
            run = run + 1 if place == _POOL_HEADER + run * size else int(place == _POOL_HEADER)
            if run == 3:  # the first blocks of a pool in a row: it is a new one
                break


@dataclass(frozen=True)
class _Mapping:
    """A line of /proc/self/maps."""

    start: int
    end: int
    rights: str
    offset: int
    name: str

    @property
    def of_file(self) -> bool:
        return self.name.startswith("/") and self.rights.endswith("p")

    def pages(self) -> npt.NDArray[np.uint64]:
        """The entries of its pages in the page map."""
        import numpy as np

        with open("/proc/self/pagemap", "rb", 0) as pagemap:
            pagemap.seek(self.start // _PAGE * 8)
            return np.frombuffer(pagemap.read((self.end - self.start) // _PAGE * 8), dtype="<u8")

    def is_as_in_file(self) -> bool:
        """Whether no page of it was ever written to."""
        import numpy as np

        pages = self.pages()
        return not bool(((pages & np.uint64(_PRESENT | _OF_FILE)) == np.uint64(_PRESENT)).any())


def _mappings() -> list[_Mapping]:
    found = []
    with open("/proc/self/maps") as maps:
        for line in maps:
            fields = line.split(maxsplit=5)
            start, end = (int(text, 16) for text in fields[0].split("-"))
            name = fields[5].strip() if len(fields) > 5 else ""
            found.append(_Mapping(start, end, fields[1], int(fields[2], 16), name))
    return found


def _forget_files() -> None:
    """Let go of the pages of private mappings that are as in the file, where a fork would copy their entries."""
    import numpy as np

    wanted = np.uint64(_PRESENT | _OF_FILE)
    for mapping in _mappings():
        if not mapping.of_file or ("w" not in mapping.rights and mapping.is_as_in_file()):
            continue
        clean = np.flatnonzero((mapping.pages() & wanted) == wanted)
        for run in np.split(clean, np.flatnonzero(np.diff(clean) != 1) + 1):
            if len(run):
                linux.forget(mapping.start + int(run[0]) * _PAGE, len(run) * _PAGE)


def _merge() -> None:
    """Give the unchanged read-only mappings of a library beside its code the rights of the code.

    The kernel then keeps them as one: constants and tables can be executed, but nothing can be written that could not
    be. (The layers do not rest on it: a script may run any code in its process.)
    """
    group: list[_Mapping] = []
    for mapping in [*_mappings(), _Mapping(0, 0, "", 0, "")]:
        last = group[-1] if group else None
        fits = mapping.of_file and "w" not in mapping.rights
        if last and not (
            fits
            and mapping.name == last.name
            and mapping.start == last.end
            and mapping.offset == last.offset + last.end - last.start
        ):
            if any("x" in part.rights for part in group):
                for part in group:
                    if "x" not in part.rights:
                        linux.make_code(part.start, part.end)
            group = []
        if fits and mapping.is_as_in_file():
            group.append(mapping)


def use_huge_pages() -> None:
    """Gather private memory in 2 MB pages, where the kernel can: a page table 512 times smaller.

    A page that a child writes to is still copied alone.
    """
    if not linux.IS_LINUX:
        return
    for mapping in _mappings():
        if mapping.rights == "rw-p" and mapping.name in ("", "[heap]"):
            with contextlib.suppress(OSError):
                linux.collapse(mapping.start, mapping.end)


def _needed(work: Callable[[], object]) -> Counter[int]:
    """How many pages of files a child reads that does ``work``, by multiples of 2 MB in the address space."""
    import numpy as np

    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            work()
            for mapping in _mappings():
                if mapping.of_file and "w" not in mapping.rights:
                    pages = np.flatnonzero(mapping.pages() & np.uint64(_PRESENT))
                    os.write(writing, ((mapping.start + pages * _PAGE) // linux.HUGE_PAGE).astype("<u8").tobytes())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        data = stream.read()
    os.waitpid(pid, 0)
    return Counter(np.frombuffer(data[: len(data) // 8 * 8], dtype="<u8").tolist())


def _move_code(needed: Counter[int]) -> None:
    """Have the code that children need in private memory: a fork then hands it on in pages of 2 MB.

    A mapping of a file a child must fault in anew, sixteen pages at a time, and few file systems have larger ones.
    """
    for mapping in _mappings():
        if not mapping.of_file or "w" in mapping.rights or "r" not in mapping.rights or not mapping.is_as_in_file():
            continue
        within = mapping.start + os.path.getsize(mapping.name) - mapping.offset  # beyond a file's end nothing is read
        first, last = -(-mapping.start // linux.HUGE_PAGE), min(mapping.end, within) // linux.HUGE_PAGE
        wanted = [number for number in range(first, last) if needed[number] >= _WORTH_MOVING]
        # Those side by side go together, which is one mapping.
        for _, run in itertools.groupby(enumerate(wanted), key=lambda pair: pair[1] - pair[0]):
            numbers = [number for _, number in run]
            start, end = numbers[0] * linux.HUGE_PAGE, (numbers[-1] + 1) * linux.HUGE_PAGE
            linux.move_to_huge_pages(start, end, "x" in mapping.rights)
