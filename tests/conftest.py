"""What all tests share."""

from __future__ import annotations

import importlib.util

# Where the installed PyTorch brings Triton, it must come before Mesa: each has an LLVM of its own, and the second one
# to be loaded into a process may crash it. The pipeline draws in processes of their own; tests do both in one.
if importlib.util.find_spec("triton") is not None:
    import torch._dynamo  # noqa: F401
