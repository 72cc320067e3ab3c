"""The time that a test gives to what must not hang or dawdle: that of a real CPU, times SLOWER, which is in the
environment where the CPU is emulated (scripts/matrix.py, row no-avx)."""

from __future__ import annotations

import os

SLOWER = int(os.environ.get("SLOWER", "1"))
