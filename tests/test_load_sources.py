"""The sources that a load can reach by imports, read as syntax trees: none has a way for a file to run anything."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

import lanewise

PACKAGE = Path(lanewise.__file__).parent
ENTRIES = ["saving/model.py", "saving/describe.py", "tabular/files.py", "callbacks/files.py", "many/ensemble.py"]

MODULES = """
    __future__ builtins collections concurrent contextlib contextvars copy csv dataclasses datetime decimal difflib
    functools gzip h5py hashlib heapq html http inspect io itertools json keras math matplotlib numbers numpy opcode
    operator optuna os pandas random re safetensors scipy shutil sklearn socket struct sys tarfile tempfile threading
    time types typing urllib warnings zipfile zlib
"""
"""What they may import: modules that run nothing, or (keras, matplotlib, ...) that no load asks for."""

PARTS = {
    "builtins": "any",
    "os": "O_CLOEXEC O_CREAT O_EXCL O_RDONLY O_RDWR SEEK_END W_OK access chmod close environ fsdecode fspath fstat "
    "fsync get_terminal_size getpid listdir makedirs open path replace sep stat unlink urandom",
    "sys": "_getframe stdout",
    "types": "CodeType FrameType ModuleType",
}
"""What they may use of modules that can run something."""

NAMES = """
    eval exec compile __import__ __builtins__ import_module _import_module load_module exec_module run_module run_path
    resolve_name read_pickle read_array Unpickler system popen Popen fork
"""


def modules_of(tree):
    """(module, level) of what a source imports, within functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "", node.level)
            for alias in node.names:
                yield (f"{node.module}.{alias.name}" if node.module else alias.name, node.level)


def resolved(module, level, path):
    """The file of lanewise that a relative import means, if it is one."""
    if level == 0:
        return None
    base = path.parent
    for _ in range(level - 1):
        base = base.parent
    place = base.joinpath(*module.split(".")) if module else base
    return next((p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None)


def reachable():
    """Every source of lanewise that loading a file can reach by imports."""
    waiting, found = [PACKAGE / entry for entry in ENTRIES], {}
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = tree = ast.parse(path.read_text())
        waiting += [p for m, level in modules_of(tree) if (p := resolved(m, level, path)) is not None]
    return found


def offences(tree):
    """Imports and names with which something can be run."""
    for module, level in modules_of(tree):
        top, _, part = module.partition(".")
        if level == 0 and (top not in MODULES.split() or (part and top in PARTS and part not in PARTS[top].split())):
            yield f"imports {module}"
    names = set(NAMES.split())
    arguments = {  # an argument that has the name
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        and "compile" in {a.arg for a in [*function.args.args, *function.args.kwonlyargs, function.args.kwarg] if a}
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Load)
            and node.id in names
            and not (node.id == "compile" and id(node) in arguments)
        ):
            yield f"{node.id} in line {node.lineno}"
        elif isinstance(node, ast.Attribute):
            of = getattr(node.value, "id", "")
            if of in PARTS and node.attr not in PARTS[of].split():
                yield f"{of}.{node.attr} in line {node.lineno}"
            elif node.attr in names - {"compile"}:
                yield f"{node.attr} in line {node.lineno}"
        elif isinstance(node, ast.Call):
            options = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
            if options.get("allow_pickle") or options.get("safe_mode") is False:
                yield f"allows what runs in line {node.lineno}"
            if (
                isinstance(node.func, ast.Attribute)
                and node.func.attr == "load"
                and getattr(node.func.value, "id", "") in ("np", "numpy")
                and (options.get("allow_pickle") is not False or len(node.args) > 1)
            ):
                yield f"np.load without allow_pickle=False in line {node.lineno}"


ALLOWED = {
    # the package's own modules, by names that stand in the package
    "__init__.py": {"imports importlib": 1, "imports importlib.import_module": 1, "_import_module": 5},
    "_missing.py": {
        "imports importlib": 1,
        "imports importlib.import_module": 1,
        "import_module": 2,
        "sys.modules": 3,
    },
    # CIFAR is a pickle: read by an unpickler that knows no class, and from no model file
    "keras/datasets/_read.py": {"imports pickle": 1, "Unpickler": 1},
}
"""What is reachable by imports and is no way for a file to run anything, each so often."""


def test_no_pickle_eval_exec_or_import_by_name_is_reachable_from_a_load():
    sources = reachable()
    assert len(sources) > 60 and PACKAGE / "saving" / "hdf5.py" in sources and PACKAGE / "layers" / "core.py" in sources
    found = {str(path.relative_to(PACKAGE)): bad for path, tree in sources.items() if (bad := [*offences(tree)])}
    print(f"{len(sources)} sources are reachable from a load")
    plain = {path: Counter(re.sub(r" in line \d+", "", what) for what in bad) for path, bad in found.items()}
    assert plain == ALLOWED, found


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "e = eval",
        "builtins.eval('1')",
        "__builtins__['exec'](t)",
        "exec(text)",
        "from builtins import exec as run",
        "compile(t, 'x', 'exec')",
        "f = compile",
        "builtins.compile(t, 'x', 'exec')",
        "__import__(name)",
        "sys.modules[name]",
        "from sys import modules",
        "import importlib as i",
        "from importlib import import_module",
        "import pkgutil",
        "pkgutil.resolve_name(name)",
        "import pydoc",
        "import zipimport",
        "import runpy",
        "import site",
        "import code",
        "import pickle",
        "def f():\n    import _pickle",
        "import shelve",
        "import marshal",
        "import joblib",
        "pandas.read_pickle(p)",
        "np.load(p)",
        "np.load(p, None, True)",
        "np.load(p, allow_pickle=True)",
        "np.lib.format.read_array(f, allow_pickle=allowed)",
        "keras.models.load_model(p, safe_mode=False)",
        "import subprocess",
        "import multiprocessing",
        "import ctypes",
        "os.system('x')",
        "os.execv(p, a)",
        "os.posix_spawn(p, a, e)",
        "from os import spawnv",
        "types.FunctionType(c, {})",
    ],
)
def test_each_way_to_run_code_is_seen_in_a_source(source):
    assert [*offences(ast.parse(source))]
