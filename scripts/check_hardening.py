"""python scripts/check_hardening.py FILE...: how shared objects, or those in wheels, are protected, by `readelf`.

Relocations read-only (RELRO) and bound at load (BIND_NOW), no executable stack, no segment both writable and
executable, no text relocations, no search path, guarded stack frames. Exit status 1 where one is missing.
(_FORTIFY_SOURCE is on too, but leaves no trace: `_core` has no copy that the compiler could not prove right.)
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

LINKED = ("relro", "bind_now", "nx_stack", "no_wx_segment", "no_text_relocations", "no_search_path")
COMPILED = ("stack_protector",)


def protections(path: Path) -> dict[str, bool]:
    """Which of them a shared object has."""
    text = subprocess.run(
        ["readelf", "-W", "--segments", "--dynamic", "--dyn-syms", path],
        capture_output=True, text=True, check=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    ).stdout  # fmt: skip
    flags = {m[1]: m[2] for m in re.finditer(r"^\s+(GNU_STACK|GNU_RELRO)\s.*?([RWE ]{3})\s+0x\w+\s*$", text, re.M)}
    loads = re.findall(r"^\s+LOAD\s.*?([RWE ]{3})\s+0x\w+\s*$", text, re.M)
    dynamic = text[text.find("Dynamic section") :]
    return {
        "relro": "GNU_RELRO" in flags,
        "bind_now": bool(re.search(r"\(FLAGS\).*BIND_NOW|\(FLAGS_1\).*NOW|\(BIND_NOW\)", dynamic)),
        "nx_stack": "E" not in flags.get("GNU_STACK", "E"),
        "no_wx_segment": bool(loads) and not any("W" in load and "E" in load for load in loads),
        "no_text_relocations": "TEXTREL" not in dynamic,
        "no_search_path": not re.search(r"\((RPATH|RUNPATH)\)", dynamic),
        "stack_protector": "__stack_chk_fail" in text,
    }


def main(names: list[str]) -> int:
    """Print a line for each file."""
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name in names:
            if name.endswith(".whl"):
                with zipfile.ZipFile(name) as wheel:
                    paths += [Path(wheel.extract(entry, folder)) for entry in wheel.namelist() if ".so" in entry]
            else:
                paths.append(Path(name))
        for path in paths:
            found = protections(path)
            missing = [what for what, there in found.items() if not there]
            bad += bool(missing)
            print(f"{path.name}: {len(found) - len(missing)} of {len(found)} protections; missing: {missing or 'none'}")
    return int(bad > 0 or not paths)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
