"""Old and odd machines: the suite by instruction set, compiler, Python, NumPy, locale and place; results in matrix.txt.

    python scripts/matrix.py                   every row: three hours on two cores, and as long for no-avx, emulated
    python scripts/matrix.py isa-avx2 clang    these rows; the others keep their last result

Each row builds this checkout (warnings are errors), installs the wheel in a virtual environment and runs tests there.
Python 3.N is `python3.N` on PATH or what PYTHON_3_N names (PYTHON_3_13T: the free-threaded one). MATRIX_WORK: a folder
that keeps the environments; MATRIX_RUN: a prefix for what computes (`nice -n 19`); MATRIX_JOBS: processes at once (2);
MATRIX_FILES: these tests (`test_layers test_saving`) instead of the suite, as a line below the row's last result;
CCACHE: a compiler launcher. A row whose interpreter or emulator is missing says so.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

TOP = Path(__file__).parents[1]
RESULTS = TOP / "scripts/matrix.txt"
WORK = Path(os.environ.get("MATRIX_WORK") or tempfile.mkdtemp())
RUN = shlex.split(os.environ.get("MATRIX_RUN", "nice -n 19"))
JOBS = int(os.environ.get("MATRIX_JOBS", "2"))

BUILD = ["scikit-build-core", "pybind11", "cmake", "ninja"]
TEST = ["pytest>=8", "pytest-xdist", "pytest-timeout>=2.3", "pytest-benchmark>=5", "threadpoolctl",
        "joblib", "pandas>=2.1", "polars>=1.0", "safetensors>=0.4", "h5py>=3.9", "scikit-learn>=1.7"]  # fmt: skip

# What there is as wheels for free-threaded Python 3.13.
FREE_THREADED = ["--only-binary=:all:", *TEST[:4], "threadpoolctl", "joblib", "numpy<2.4"]

# Linters, types, the tests of the benchmarks and those beside Keras do not depend on the machine.
EVERYWHERE_THE_SAME = {"test_codebase.py", "test_bench_compare.py"}
WHOLE = SUITE = sorted(p.name for p in (TOP / "tests").glob("test_*.py") if p.name not in EVERYWHERE_THE_SAME)
if only := os.environ.get("MATRIX_FILES"):  # some of them; the result says how many
    SUITE = [f"{name}.py" for name in only.split()]
# Where text, numbers and files meet the system.
SYSTEM = """test_saving test_saving_hostile test_keras_files test_keras_written test_keras_hostile test_cli
test_datasets test_progress test_summary_and_diagram test_bad_input test_bad_data test_callbacks
test_callbacks_more test_training test_tabular test_sklearn test_schedules test_engine test_copies
test_losses test_optimizers"""
# What an emulated CPU cannot show: tests, or whole files, and why.
NOT_EMULATED = {
    # The emulator keeps 25 KB for each thread that ended, one that did nothing too, and they are counted with ours.
    "memory after threads": """test_leaks.py::test_memory_stays_as_it_was[thread-500]
        test_concurrency.py::test_short_lived_threads_that_train_and_predict
        test_dispatch_threads.py::test_short_lived_threads_leave_no_memory_behind
        test_dispatch_threads.py::test_changing_the_number_of_threads_leaves_no_memory_behind""",
    # Hours: 24 scripts, each trained four times; some hundred files by name for each of nine loaders, whose other tests
    # are tried.
    "hours": """test_keras_scripts.py::test_a_script_gives_what_keras_gives
        test_hostile_files.py::test_hostile_files""",
}
NUMPY_ALONE = """test_activation_layers test_activations test_kernels_elementwise test_kernels_matmul test_layers
test_losses test_meaning test_metrics test_optimizers test_random test_reductions test_saving test_training"""
THREADS = "test_concurrency test_dispatch_threads test_interrupt test_processes test_same_bits test_many test_engine"


def files(names: str) -> list[str]:
    return [f"{name}.py" for name in (only or names).split()]


class Missing(Exception):
    """Something that this row needs is not on this machine."""


def python_of(version: str) -> str:
    asked = os.environ.get("PYTHON_" + version.replace(".", "_").upper(), f"python{version}")
    if (found := shutil.which(asked)) is None:
        raise Missing(f"no Python {version} here")
    return found


def checked(*command: str | Path, **environment: str) -> None:
    done = subprocess.run(list(map(str, command)), cwd=TOP, env={**os.environ, **environment}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}")


def environment(name: str, version: str = "3.11", *extra: str, tests: Sequence[str] = TEST) -> Path:
    """A virtual environment with what builds and tests, made once."""
    folder = WORK / name
    if not (folder / "made").exists():
        checked(python_of(version), "-m", "venv", "--clear", folder)
        checked(folder / "bin/python", "-m", "pip", "install", "-q", *BUILD, *tests, *extra)
        (folder / "made").touch()
    return folder


def sources() -> str:
    """Names what a wheel is built from, committed or not."""
    paths = ["cpp", "python", "CMakeLists.txt", "pyproject.toml"]
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", "--", *paths], cwd=TOP, text=True)
    digest = hashlib.sha256()
    for name in filter(lambda name: (TOP / name).exists(), listed.splitlines()):
        digest.update(f"{name}\n".encode() + (TOP / name).read_bytes())
    return digest.hexdigest()


def install(folder: Path, *options: str, **variables: str) -> Path:
    """Builds the checkout and installs the wheel, unless the one that is there was built from the same."""
    built = folder / "built"
    of = sources()
    if built.exists() and built.read_text() == of:
        return folder
    built.unlink(missing_ok=True)
    launcher = os.environ.get("CCACHE")
    options = (*options, "LANEWISE_WERROR=ON", *([f"CMAKE_CXX_COMPILER_LAUNCHER={launcher}"] if launcher else []))
    for part in ("build", "wheel"):
        shutil.rmtree(folder / part, ignore_errors=True)
    python = folder / "bin/python"
    defines = [word for option in options for word in ("-C", f"cmake.define.{option}")]
    checked(*RUN, python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder / "wheel",
            "-C", f"build-dir={folder / 'build'}", *defines, ".", **variables)  # fmt: skip
    wheel = next((folder / "wheel").glob("*.whl"))
    checked(python, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", wheel)
    built.write_text(of)
    return folder


COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed)")
BAD = re.compile(r"(FAILED|ERROR) |.*([Ii]llegal instruction|node down|Fatal Python)")


class Tests:
    """What a row's pieces said together."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.bad: list[str] = []
        self.names: list[str] = []

    def run(self, python: list[str], names: list[str], pieces: int = 4, jobs: int = JOBS, options: str = "",
            top: Path = TOP, **variables: str) -> Tests:  # fmt: skip
        """Runs the tests in pieces, so that none takes the machine for long."""
        self.names += names
        env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "LANEWISE_ISA"}} | variables
        for piece in range(min(pieces, len(names))):
            command = [*RUN, *python, "-q", "-p", "no:cacheprovider", *(["-n", str(jobs)] if jobs > 1 else []),
                       *shlex.split(options), *(f"tests/{name}" for name in names[piece::pieces])]  # fmt: skip
            done = subprocess.run(
                command, cwd=top, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            (WORK / "last.log").write_text(done.stdout)
            lines = done.stdout.splitlines()
            print(f"  {names[piece]}, ...: {lines[-1] if lines else 'nothing'}", file=sys.stderr, flush=True)
            self.counts.update({word: int(n) for n, word in COUNT.findall(lines[-1] if lines else "")})
            bad = [x[:150] for x in lines if BAD.match(x)]
            if done.returncode and not bad:
                bad = [f"exit code {done.returncode}: {lines[-1] if lines else ''}"[:150]]
            if bad:
                (WORK / f"bad.{time.time():.0f}.log").write_text(done.stdout)
            self.bad += bad
        return self

    def __str__(self) -> str:
        said = ", ".join(f"{n} {word}" for word, n in self.counts.items() if n)
        if set(self.names) != set(WHOLE):
            said += f" ({len(self.names)} files)"
        return "\n".join([said, *(f"    {x}" for x in self.bad)])


def versions(folder: Path) -> str:
    ask = """import lanewise, numpy, platform
print(f"Python {platform.python_version()}, NumPy {numpy.__version__}, {lanewise.build_info()['compiler']}", end="")"""
    return subprocess.check_output([folder / "bin/python", "-c", ask], text=True, cwd=WORK)


def suite(folder: Path, names: list[str] = SUITE, **variables: str) -> str:
    said = Tests().run([str(folder / "bin/python"), "-m", "pytest"], names, **variables)
    return f"{versions(folder)}: {said}"


def base() -> Path:
    return install(environment("base"))


def emulated(folder: Path, cpu: str) -> Path:
    """The environment again, its interpreter on an emulated CPU: for the processes that a test starts too."""
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        raise Missing("no qemu-x86_64 here (package qemu-user)")
    other = WORK / f"{folder.name}-{cpu}"
    shutil.rmtree(other, ignore_errors=True)
    (other / "bin").mkdir(parents=True)
    (other / "lib").symlink_to(folder / "lib")
    shutil.copy(folder / "pyvenv.cfg", other)
    python = other / "bin/python"  # what is told to Python as its own name, so that it starts this again
    words = shlex.join([emulator, "-cpu", cpu, "-0", str(python), str(folder / "bin/python")])
    python.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    python.chmod(0o755)
    return other


def no_avx() -> str:
    # Polars' usual wheel needs AVX.
    folder = emulated(install(environment("no-avx", "3.11", "polars[rtcompat]")), "Nehalem")
    ask = "import lanewise; print(lanewise.available_isas())"
    started = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ask!r}])"  # as tests start others
    said = subprocess.run([*RUN, folder / "bin/python", "-c", started], text=True, capture_output=True, cwd=WORK)
    if said.stdout.strip() != "['generic']":
        return f"failed: {said.stdout}{said.stderr[-300:]}"
    left_out = shlex.join(f"--deselect=tests/{test}" for tests in NOT_EMULATED.values() for test in tests.split())
    return str(Tests().run([str(folder / "bin/python"), "-m", "pytest"], SUITE, len(SUITE), SLOWER="30",
                           options=f"-o timeout=1700 --benchmark-disable {left_out}"))  # fmt: skip


def free_threaded() -> str:
    """The interpreter takes its lock back, with a warning, for a module that does not say it can do without, as ours;
    tests that need no package but NumPy."""
    folder = install(environment("py3.13t", "3.13t", tests=FREE_THREADED))
    expected = "-W 'ignore:The global interpreter lock:RuntimeWarning'"
    return suite(folder, files(f"{NUMPY_ALONE} {THREADS}"), options=expected, PYTHONWARNINGS="ignore")


LOCALE = "import locale, sys; locale.setlocale(locale.LC_ALL, ''); print(locale.localeconv()['decimal_point']); "


def locale(name: str, point: str, **variables: str) -> str:
    """The C library's locale too is that of the environment: Python itself sets only LC_CTYPE."""
    start = LOCALE + f"assert locale.localeconv()['decimal_point'] == {point!r}; import pytest; sys.exit(pytest.main())"
    env = {"LC_ALL": name, "LANG": name, **variables}
    # One process: pytest-xdist's would not set it.
    return str(Tests().run([str(base() / "bin/python"), "-c", start], files(SYSTEM), jobs=1, **env))


def comma() -> str:
    folder = WORK / "locales"
    folder.mkdir(exist_ok=True)
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/de_DE").exists():
        raise Missing("no localedef here (package locales)")
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")], check=True)
    return locale("de_DE.UTF-8", ",", LOCPATH=str(folder))


def odd_path() -> str:
    """Environment, checkout's tests and temporary files below a folder with spaces, quotes and other scripts."""
    top = WORK / "odd 'path' ü 漢字"
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir()
    shutil.copytree(TOP, top / "check out", ignore=shutil.ignore_patterns("build", ".git", "*.so", "__pycache__"))
    folder = environment(f"{top.name}/en v")
    python = folder / "bin/python"
    options = ["-C", "cmake.define.LANEWISE_WERROR=ON"]
    checked(
        *RUN, python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", *options, top / "check out"
    )
    (top / "tmp").mkdir()
    tests = Tests().run([str(python), "-m", "pytest"], files(SYSTEM), top=top / "check out", TMPDIR=str(top / "tmp"))
    return str(tests)


def within_reach(folder: Path, place: Path) -> dict[str, str]:
    """A copy of the environment below `place` that any user may run, with its interpreter where that lies in a home;
    what it needs in the environment's variables."""
    unwanted = shutil.ignore_patterns("build", "wheel", "__pycache__", "site-packages", "test")
    shutil.copytree(folder, place / "env", symlinks=True, ignore=shutil.ignore_patterns("build", "wheel"))
    interpreter = (folder / "bin/python").resolve()
    if all(above.stat().st_mode & 1 for above in interpreter.parents):
        return {}
    shutil.copytree(interpreter.parents[1], place / "python", symlinks=True, ignore=unwanted)
    copied = place / "python/bin" / interpreter.name
    (place / "env/bin/python").unlink()
    (place / "env/bin/python").symlink_to(copied)
    config = place / "env/pyvenv.cfg"
    config.write_text(re.sub(r"(?m)^home = .*", f"home = {copied.parent}", config.read_text()))
    return {"LD_LIBRARY_PATH": str(place / "python/lib")}


def read_only() -> str:
    """As a user who may write nowhere but in a temporary folder: not in the package, the checkout or a home."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        raise Missing("needs root, to become a user without rights, and setpriv")
    place = Path(tempfile.mkdtemp(prefix="matrix"))
    python = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(place / "env/bin/python")]
    try:
        variables = {**within_reach(base(), place), "HOME": "/nonexistent", "TMPDIR": str(place / "tmp")}
        shutil.copytree(TOP, place / "top", ignore=shutil.ignore_patterns("build", ".git", "*.so", "__pycache__"))
        (place / "tmp").mkdir()
        checked("chmod", "-R", "a+rX,a-w", place)
        (place / "tmp").chmod(0o1777)
        write = "import lanewise, pathlib; (pathlib.Path(lanewise.__file__).parent / 'x').touch()"
        tried = subprocess.run([*python, "-c", write], text=True, capture_output=True, cwd=place,
                               env={**os.environ, **variables})  # fmt: skip
        if f"PermissionError: [Errno 13] Permission denied: '{place}/env/lib" not in tried.stderr:
            return f"failed: the package can be written to, or this user cannot run it: {tried.stderr[-200:]}"
        return str(Tests().run([*python, "-m", "pytest"], files(SYSTEM), top=place / "top", **variables))
    finally:
        subprocess.run(["rm", "-rf", str(place)], check=True)


ROWS: dict[str, Callable[[], str]] = {
    "gcc": lambda: suite(base()),
    **{f"isa-{isa}": lambda isa=isa: suite(base(), LANEWISE_ISA=isa) for isa in ("generic", "avx2", "avx512")},
    "no-avx": no_avx,
    "clang": lambda: suite(install(environment("clang"), CXX="clang++")),
    "no-openmp": lambda: suite(install(environment("no-openmp"), "LANEWISE_OPENMP=OFF"), files(THREADS)),
    **{f"python-{v}": lambda v=v: suite(install(environment(f"py{v}", v))) for v in ("3.12", "3.13", "3.14")},
    "python-3.13t": free_threaded,
    "numpy-oldest": lambda: suite(install(environment("numpy", "3.11", "numpy==1.26.0"))),
    "locale-C": lambda: locale("C", ".", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
    "locale-utf8": lambda: locale("C.UTF-8", "."),
    "locale-comma": comma,
    "odd-path": odd_path,
    "read-only": read_only,
}


def kept() -> dict[str, str]:
    """The last result of each row."""
    blocks = re.split(r"\n(?=\S)", RESULTS.read_text().strip()) if RESULTS.exists() else []
    return {block.split(":")[0]: block for block in blocks}


def main(asked: list[str]) -> int:
    failed = False
    for name in asked or ROWS:
        try:
            said = ROWS[name]()
        except Missing as reason:
            said = f"not run: {reason}"
        except (RuntimeError, subprocess.SubprocessError, OSError) as error:
            said = f"failed: {error}"
        failed |= "failed" in said or "error" in said
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=TOP, text=True, capture_output=True).stdout
        before = f"{earlier}\n    again" if only and (earlier := kept().get(name)) else name
        line = f"{before}: {said}  [{time.strftime('%F')} {commit.strip()}]"
        print(line, flush=True)
        results = {**kept(), name: line}
        RESULTS.write_text("\n".join(results[row] for row in ROWS if row in results) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
