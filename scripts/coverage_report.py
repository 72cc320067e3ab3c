"""python scripts/coverage_report.py BUILD: what `scripts/coverage.sh` measured, file by file where some is missing.

Figures of a Python source that has changed since do not count. A C++ line counts once, however many instruction sets
and templates it is compiled for; it is covered where one of them ran it. What this machine or no test can reach is left
out and listed in `IMPOSSIBLE` with its reason.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOADERS = (
    "saving/*", "models/config.py", "layers/slots.py", "layers/applied.py", "tabular/files.py", "callbacks/files.py",
    "utils/files.py", "keras/datasets/*",
)  # fmt: skip
IMPOSSIBLE = {
    r"cpp/simd/neon\.h": "NEON: runs under an emulator in cpp/tests/run_kernel_check.sh",
    r"cpp/tests/.*": "not part of the package",
}
"""C++ files that this run cannot reach."""


def cpp_lines(build: Path) -> dict[str, dict[int, bool]]:
    """Source -> line -> whether it ran."""
    found: dict[str, dict[int, bool]] = defaultdict(dict)
    for path in sorted(build.rglob("*.gcda")):
        done = subprocess.run(["gcov", "--json-format", "--stdout", path], capture_output=True, cwd=build, check=True)
        for file in (file for text in done.stdout.splitlines() for file in json.loads(text)["files"]):
            name = re.sub(r"^.*/(?=cpp/)", "", file["file"])
            if name.startswith("cpp/") and not any(re.fullmatch(p, name) for p in IMPOSSIBLE):
                lines = found[name]
                for entry in file["lines"]:
                    lines[entry["line_number"]] = lines.get(entry["line_number"], False) or entry["count"] > 0
    return found


def ranges(numbers: list[int]) -> str:
    """3, 4, 5, 9 -> '3-5, 9'."""
    shown: list[str] = []
    for n in numbers:
        if shown and int(shown[-1].split("-")[-1]) == n - 1:
            shown[-1] = f"{shown[-1].split('-')[0]}-{n}"
        else:
            shown.append(str(n))
    return ", ".join(shown)


def main(build: Path) -> None:
    """Print the report."""
    import coverage

    data = coverage.Coverage(data_file=str(build / "python.data"), config_file=str(build / "rc"))
    for path in (build / "python").glob("*.data.*"):
        piece = coverage.CoverageData(str(path))
        piece.read()
        piece.purge_files([f for f in piece.measured_files() if os.path.getmtime(f) > path.stat().st_mtime])
        piece.close()
    data.combine([str(path) for path in (build / "python").glob("*.data.*")], keep=True)
    out = io.StringIO()
    total = data.report(file=out, skip_covered=True, show_missing=True)
    loaders = data.report(file=io.StringIO(), include=[f"*/lanewise/{name}" for name in LOADERS])
    sources = cpp_lines(build)
    count = sum(map(len, sources.values()))
    ran = sum(sum(lines.values()) for lines in sources.values())
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()
    print(f"{date.today()}, commit {commit}")
    print(f"Python, lines and branches: {total:.1f} %; of the loaders: {loaders:.1f} %")
    print(f"C++, lines: {100 * ran / max(count, 1):.1f} % ({ran} of {count})")
    for pattern, reason in IMPOSSIBLE.items():
        print(f"  without {pattern}: {reason}")
    print("\nC++ lines that did not run")
    for name, lines in sorted(sources.items()):
        missing = sorted(n for n, there in lines.items() if not there)
        if missing:
            print(f"  {name}: {ranges(missing)} ({len(missing)} of {len(lines)})")
    print("\nPython that did not run")
    for line in out.getvalue().splitlines()[2:-4]:
        print(f"  {re.sub(r'^.*?lanewise/', '', line)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
