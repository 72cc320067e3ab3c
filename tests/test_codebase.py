"""The code base is tested too: who imports what, sizes of files, linters and types, what an import loads."""

import re
import subprocess
import sys
from pathlib import Path

import lanewise
from lanewise import _core

ROOT = Path(__file__).parents[1]
SOURCES = [p for folder in ("cpp", "python") for p in (ROOT / folder).rglob("*") if p.suffix in {".py", ".h", ".cpp"}]


def run(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_only_two_modules_import_the_core():
    pattern = re.compile(r"^\s*(from|import) .*\b_core\b", re.M)
    users = {p.name for p in (ROOT / "python").rglob("*.py") if pattern.search(p.read_text())}
    assert users == {"ops.py", "_engine.py"}


def test_no_file_is_long():
    long = {p.name: n for p in SOURCES if (n := len(p.read_text().splitlines())) > 450}
    assert not long


def test_every_row_of_the_kernel_table_is_there():
    rows = re.findall(r"^LW_KERNEL\((\w+),", (ROOT / "cpp/kernels/kernels.inc").read_text(), re.M)
    assert rows == _core.kernel_names()


def test_instructions_are_called_what_their_kinds_are():
    kinds = re.search(r"enum class Kind \{(.*?)\n\};", (ROOT / "cpp/engine/plan.h").read_text(), re.S)[1]
    text = re.search(r"kNames =(.*?);", (ROOT / "cpp/engine/plan_text.cpp").read_text(), re.S)[1]
    names = re.findall(r"^  k(\w+),", kinds, re.M)
    assert [re.sub(r"\B([A-Z])", r"_\1", name).lower() for name in names] == re.findall(r"\w+", text)


def test_floors_point_down():
    """A floor includes only itself and those below it."""
    floors = ["simd", "kernels", "dispatch", "engine", "bindings"]
    for path in SOURCES:
        if path.suffix == ".py" or path.parent.name not in floors:
            continue
        own = floors.index(path.parent.name)
        for used in re.findall(r'#include "(\w+)/', path.read_text()):
            assert floors.index(used) <= own, f"{path.name} includes {used}"


def test_linter():
    run(sys.executable, "-m", "ruff", "check", ".")


def test_types():
    run(sys.executable, "-m", "mypy", "--no-incremental")


def test_an_import_loads_numpy_and_the_standard_library_only():
    code = "import sys, lanewise, lanewise.ops; lanewise.Sequential; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = set(run(sys.executable, "-c", code).split())
    foreign = {m for m in loaded if m not in sys.stdlib_module_names and not m.startswith("_")}
    assert foreign - {"numpy", "lanewise", "pyximport", "cython_runtime", "google", "sitecustomize"} == set()


def test_the_version_has_one_source():
    written = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert written is not None
    assert lanewise.__version__ == written[1]


def test_no_path_of_a_developers_machine_is_tracked():
    if not (ROOT / ".git").exists():
        return  # an unpacked archive has no list of tracked files
    homes = "|".join(["ro" + "ot", "ho" + "me/[a-z]+", "Us" + "ers/[a-z]+", "wo" + "rk"])
    done = subprocess.run(["git", "grep", "-nIE", f"/({homes})/"], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == ""
