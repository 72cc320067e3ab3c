"""AddressSanitizer preloaded (`.ci/long suite`): the kernel's figures of memory are its own then, for it shadows memory
and keeps for a while what is freed. Nothing else differs in a test."""

from __future__ import annotations

import os
from pathlib import Path

KEPT = 256 * 2**20 if "libasan" in os.environ.get("LD_PRELOAD", "") else 0
"""Bytes that were freed and that it keeps, at most, so that whoever still uses them is seen."""


def preloading(library: Path) -> dict[str, str]:
    """The environment of a process that has `library` before all others, a sanitizer that is there too behind it."""
    behind = os.environ.get("LD_PRELOAD", "")
    options = f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"  # it need not be the first
    return {**os.environ, "LD_PRELOAD": f"{library} {behind}".strip(), "ASAN_OPTIONS": options}
