"""Reads the objects of a build and checks that instruction sets stay where they belong.

1. Baseline objects (dispatch, engine, bindings, generic kernels) hold no AVX instruction: they run before, and
   without, any check of the CPU.
2. Objects compiled for an ISA export nothing outside their ISA's namespace: an inline function of a common name
   compiled under AVX flags could be the copy that the linker picks for everyone.
3. ISA objects have no static initialisers.

Usage: python scripts/check_baseline.py BUILD_DIRECTORY (the CMake build tree, with its objects).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ISAS = ("avx2", "avx512", "neon")
# AVX names its registers ymm/zmm; on xmm every VEX or EVEX instruction begins with v.
AVX = re.compile(r"\t(v[a-z0-9]+\s.*%[xyz]mm\d+|.*%[yz]mm\d+)")


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def avx_instructions(path: Path) -> list[str]:
    return [line for line in run("objdump", "-d", "--no-show-raw-insn", str(path)).splitlines() if AVX.search(line)]


def foreign_symbols(path: Path, isa: str) -> list[str]:
    """Defined global or weak symbols outside lanewise::<isa>."""
    foreign = []
    for line in run("nm", "--defined-only", "--extern-only", "-C", str(path)).splitlines():
        name = line.split(" ", 2)[2]
        if f"lanewise::{isa}::" not in name:
            foreign.append(name)
    return foreign


def main() -> int:
    root = Path(sys.argv[1])
    objects = sorted(root.rglob("*.o"))
    isa_objects = {p: isa for p in objects for isa in ISAS if f"kernels_{isa}.dir" in str(p)}
    ours = ("_core.dir", "bindings.dir", "engine_", "kernels_generic")
    baseline = [p for p in objects if p not in isa_objects and any(folder in str(p) for folder in ours)]
    if not isa_objects or not baseline:
        print(f"no objects of a build under {root}")
        return 1
    failures = 0
    for path in baseline:
        found = avx_instructions(path)
        if found:
            failures += 1
            print(f"{path.relative_to(root)}: {len(found)} AVX instructions, the first: {found[0].strip()}")
    for path, isa in isa_objects.items():
        for name in foreign_symbols(path, isa):
            failures += 1
            print(f"{path.relative_to(root)}: exports {name}")
        if ".init_array" in run("objdump", "-h", str(path)):
            failures += 1
            print(f"{path.relative_to(root)}: has static initialisers")
    # The check must be able to fail: ISA objects are full of what baseline objects may not have.
    if not any(avx_instructions(p) for p, isa in isa_objects.items() if isa.startswith("avx")):
        failures += 1
        print("no AVX instruction found in the AVX objects either: this check sees nothing")
    print(f"{len(baseline)} baseline objects, {len(isa_objects)} ISA objects, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
