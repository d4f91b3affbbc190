"""What makes training fast on a CPU, measured on two cores with AVX512-BF16 (see docs/training_log.md)."""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Any

import torch

#: glibc's mallopt parameters (malloc.h).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def pick_device(wanted: str) -> torch.device:
    """Return the device: ``auto`` takes a GPU where there is one."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def tune(device: torch.device, threads: int) -> None:
    """Set threads, and on a CPU tell the allocator to keep what it has.

    By default glibc gives every large activation back to the system at once and takes it again in the next layer,
    which costs a page fault for every 4 KiB: 12 % of a step.
    """
    if threads:
        torch.set_num_threads(threads)
    if device.type == "cpu" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_TOP_PAD, 512 * 2**20)
    torch.backends.cuda.matmul.allow_tf32 = True
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def choose_attention(model: Any, device: torch.device) -> None:
    """Use plain attention on a CPU (torch's fused CPU kernel is slower backwards), the fused one on a GPU."""
    model.set_attn_implementation("eager" if device.type == "cpu" else "sdpa")


def compile_layers(device: torch.device, *stacks: Any) -> None:
    """Compile each layer of the stacks for the shapes that come: once for all layers of a stack.

    On a CPU every length is worth code of its own; on a GPU one code for all lengths is nearly as fast, and there at
    once. A layer that cannot be compiled there runs as it is.
    """
    torch._dynamo.config.recompile_limit = 64
    torch._dynamo.config.suppress_errors = device.type == "cuda"
    for stack in stacks:
        for layer in stack:
            layer.compile(dynamic=False if device.type == "cpu" else None)
