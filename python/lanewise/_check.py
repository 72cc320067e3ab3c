"""`lanewise check`: which lines of a Keras script or notebook will not work, without running it.

The script's tree is walked in the order of its lines. Names that come from tensorflow, keras or lanewise are looked up
in the real modules, arguments in the real signatures; layers, losses and optimizers whose arguments are all written out
are made, so that what they refuse is known from themselves.
"""

from __future__ import annotations

import ast
import inspect
import json
import tokenize
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, NamedTuple, cast

from ._missing import attribute_instead
from ._names import Configurable, KeywordChecked, check_keywords, constructor_keywords
from .keras.config import set_floatx, set_image_data_format
from .layers import Input, Layer
from .models import Model

_ROOTS = {"tensorflow": "lanewise", "keras": "lanewise.keras", "tf_keras": "lanewise.keras", "lanewise": "lanewise"}
_RELATED = ("tensorflow_", "keras_", "kerastuner")  # packages that need TensorFlow's or Keras's own objects
_ERRORS = (AttributeError, ImportError, NotImplementedError, TypeError, ValueError)
_UNKNOWN = object()


class Finding(NamedTuple):
    """A line that will not work, and why or what to use instead."""

    line: int
    text: str


class Instance(NamedTuple):
    """A variable that holds an object of this class."""

    cls: type


def check_file(path: str) -> list[str]:
    """The findings in a .py or .ipynb file, a text each: `script.py:3: ...`, `notebook.ipynb: cell 2 line 1: ...`.

    Raises:
        OSError: the file cannot be read. ValueError: it is no Python, or no notebook; the text begins with the place.
    """
    notebook = path.endswith(".ipynb")
    try:
        with open(path, encoding="utf-8") if notebook else tokenize.open(path) as file:
            source = file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from None
    except SyntaxError as error:
        raise ValueError(f"{path}: not Python 3: {error.msg}") from None
    places: list[tuple[int, int]] = []
    if notebook:
        places, source = _cells(path, source)

    def at(line: int) -> str:
        return f"{path}: cell {places[line - 1][0]} line {places[line - 1][1]}" if places else f"{path}:{line}"

    try:
        return [f"{at(line)}: {text}" for line, text in check(source)]
    except SyntaxError as error:
        raise ValueError(f"{at(error.lineno or 1)}: not Python 3: {error.msg}: {(error.text or '').strip()}") from None
    except (MemoryError, RecursionError):  # so Python's parser calls what is nested too deeply
        raise ValueError(f"{path}: nested too deeply to be read") from None


def check(source: str) -> list[Finding]:
    """The findings in Python source, by line."""
    checker = _Checker()
    checker.visit(ast.parse(source))
    return sorted(set(checker.findings))


def _cells(path: str, source: str) -> tuple[list[tuple[int, int]], str]:
    """(cell and line of each line, code of all cells); lines for the shell or for IPython are left empty."""
    try:
        cells = [cell for cell in json.loads(source)["cells"] if cell["cell_type"] == "code"]
        texts = [c["source"] if isinstance(c["source"], str) else "".join(c["source"]) for c in cells]
    except (KeyError, TypeError, json.JSONDecodeError, RecursionError):
        raise ValueError(f"{path}: expected a notebook of format 4, with a list of cells") from None
    places: list[tuple[int, int]] = []
    lines: list[str] = []
    for number, text in enumerate(texts, 1):
        whole = text.lstrip().startswith("%%")  # a cell in another language
        for at, line in enumerate(text.split("\n"), 1):
            places.append((number, at))
            start = line.lstrip()
            indent = line[: len(line) - len(start)]
            magic = whole or start.startswith(("%", "!", "?")) or start.rstrip().endswith("?")
            lines.append(f"{indent}pass" if magic and indent else "" if magic else line)
    return places, "\n".join(lines)


class _Checker(ast.NodeVisitor):
    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._names: dict[str, Any] = {}  # what the script's names stand for, where that is known

    def _report(self, node: ast.AST, text: str) -> None:
        self.findings.append(Finding(getattr(node, "lineno", 1), " ".join(text.split())))

    # --- imports --------------------------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root, *rest = alias.name.split(".")
            if root.startswith(_RELATED):
                self._report(node, f"{root}: works with TensorFlow and Keras themselves, not with lanewise")
            elif root in _ROOTS:
                found = self._walk(node, import_module(_ROOTS[root]), rest)
                value = found if alias.asname else import_module(_ROOTS[root])
                self._names[alias.asname or root] = value
            else:
                self._names.pop(alias.asname or root, None)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        root, *rest = (node.module or "").split(".")
        if root.startswith(_RELATED):
            self._report(node, f"{root}: works with TensorFlow and Keras themselves, not with lanewise")
            return
        if node.level or root not in _ROOTS:
            for alias in node.names:
                self._names.pop(alias.asname or alias.name, None)
            return
        if rest[:1] == ["python"] and root == "tensorflow":  # tensorflow.python.keras
            del rest[0]
        module = self._walk(node, import_module(_ROOTS[root]), rest)
        for alias in node.names:
            if alias.name == "*":
                public = getattr(module, "__all__", ())
                self._names.update({name: getattr(module, name) for name in public})
            else:
                found = module if module is _UNKNOWN else self._walk(node, module, [alias.name])
                self._names[alias.asname or alias.name] = found

    def _walk(self, node: ast.AST, start: Any, names: Sequence[str]) -> Any:
        """start.a.b.c; reports what is not there."""
        for name in names:
            if isinstance(start, Instance):
                self._check_attribute(node, start.cls, name, False)
                return _UNKNOWN
            try:
                start = getattr(start, name)
            except (AttributeError, ImportError) as error:
                if not isinstance(start, type) or not name.startswith("_"):
                    self._report(node, str(error))
                return _UNKNOWN
            if not _ours(start):
                return _UNKNOWN
        return start

    def _check_attribute(self, node: ast.AST, cls: type, name: str, called: bool) -> None:
        """Reports an attribute that objects of the class lack: a method, or something of Keras's."""
        advice = attribute_instead(name)
        if not hasattr(cls, name) and (advice or called):
            kind = "attribute" if advice else "method"
            self._report(node, f"{cls.__name__} has no {kind} {name!r}" + (f": {advice}" if advice else ""))

    # --- names ----------------------------------------------------------------------------------------------------

    def _resolve(self, node: ast.expr) -> Any:
        """What an expression stands for: a module, class or function of lanewise's, an Instance, or unknown."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id, _UNKNOWN)
        if isinstance(node, ast.Attribute):
            base = self._resolve(node.value)
            return base if base is _UNKNOWN else self._walk(node, base, [node.attr])
        return _UNKNOWN

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._resolve(node)
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            inner = inner.value
        if not isinstance(inner, ast.Name):
            self.visit(inner)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        value: Any = None
        if isinstance(node.value, ast.Call):
            made = self._resolve(node.value.func)
            value = Instance(made) if isinstance(made, type) else None
        elif isinstance(node.value, ast.Name | ast.Attribute):
            found = self._resolve(node.value)
            value = None if found is _UNKNOWN else found
        for target in node.targets:
            self._bind(target, value)

    def _bind(self, target: ast.expr, value: Any) -> None:
        for name in ast.walk(target):
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                self._names.pop(name.id, None)
        if isinstance(target, ast.Name) and value is not None:
            self._names[target.id] = value

    def visit_For(self, node: ast.For) -> None:
        self._bind(node.target, None)
        self.generic_visit(node)

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        outer = dict(self._names)
        arguments = node.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            self._names.pop(argument.arg, None)
        self.generic_visit(node)
        self._names = outer
        if not isinstance(node, ast.Lambda):
            self._names.pop(node.name, None)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _visit_function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        bases = [base for base in map(self._resolve, node.bases) if isinstance(base, type)]
        methods = {item.name: _stub for item in node.body if isinstance(item, ast.FunctionDef)}
        if bases:
            try:
                type(node.name, tuple(bases), {**methods, "__module__": "__main__"})
            except _ERRORS as error:
                self._report(node, str(error))
        known = len(bases) == len(node.bases) and any(issubclass(base, Layer | Model) for base in bases)
        for call in (item for item in ast.walk(node) if known and isinstance(item, ast.Call)):
            match call.func:
                case ast.Attribute(value=ast.Name(id="self"), attr="add_loss" | "add_metric" as name) if (
                    name not in methods
                ):
                    self._report(call, f"{name}: {attribute_instead(name)}")
        self.generic_visit(node)
        self._names.pop(node.name, None)

    # --- calls ----------------------------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        function = _UNKNOWN
        if isinstance(node.func, ast.Attribute):
            owner = self._resolve(node.func.value)
            if isinstance(owner, Instance):
                function = getattr(owner.cls, node.func.attr, _UNKNOWN)
                self._check_attribute(node, owner.cls, node.func.attr, _ours(owner.cls))
            if node.func.attr == "compile":
                self._check_compile(node)
            elif node.func.attr in ("save", "save_weights") and isinstance(owner, Instance) and _ours(owner.cls):
                self._check_path(node)
        before = len(self.findings)
        if function is _UNKNOWN:
            function = self._resolve(node.func)
            del self.findings[before:]  # generic_visit has reported it
        if function is not _UNKNOWN and callable(function) and _ours(function):
            self._check_arguments(node, function)

    def _check_arguments(self, node: ast.Call, function: Any) -> None:
        if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
            return
        runs = Input, set_floatx, set_image_data_format
        if (isinstance(function, type) and issubclass(function, Configurable)) or function in runs:
            values = [self._literal(a) for a in node.args]
            named = {str(k.arg): self._literal(k.value) for k in node.keywords}
            if not any(value is _UNKNOWN for value in (*values, *named.values())):
                try:
                    function(*values, **named)
                except _ERRORS as error:
                    self._report(node, _of(function, str(error)))
                return
        given = [k.arg for k in node.keywords if k.arg is not None]
        try:
            known = _keywords(function)
            if known is not None:
                check_keywords(function.__name__, given, known)
        except TypeError as error:
            self._report(node, str(error))
        for name, text in self._strings(node, function):
            try:
                _check_text(name, text)
            except _ERRORS as error:
                self._report(node, _of(function, str(error)))

    def _check_path(self, node: ast.Call) -> None:
        from .saving.model import check_format, check_suffix

        given = {**dict(zip(["filepath"], node.args, strict=False)), **{str(k.arg): k.value for k in node.keywords}}
        path, form = (self._literal(given[name]) if name in given else None for name in ("filepath", "save_format"))
        try:
            check_format(form)
            if isinstance(path, str):
                check_suffix("filepath", path, cast(ast.Attribute, node.func).attr == "save_weights")
        except ValueError as error:
            self._report(node, str(error))

    def _strings(self, node: ast.Call, function: Any) -> Iterator[tuple[str, str]]:
        """(argument, text) of each argument that is a text."""
        names = [] if _keywords(function) is None else [n for n in _keywords(function) or () if n != "self"]
        pairs = [*zip(names, node.args, strict=False), *((k.arg or "", k.value) for k in node.keywords)]
        for name, value in pairs:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield name, value.value

    def _check_compile(self, node: ast.Call) -> None:
        from . import losses, metrics, optimizers

        kinds = {
            "optimizer": optimizers.get,
            "loss": losses.get,
            "metrics": metrics.get,
            "weighted_metrics": metrics.get,
        }
        pairs = [*zip(kinds, node.args, strict=False), *((k.arg or "", k.value) for k in node.keywords)]
        for name, value in pairs:
            for text in _texts(value) if name in kinds else ():
                try:
                    kinds[name](text)
                except _ERRORS as error:
                    self._report(node, str(error))

    def _literal(self, node: ast.expr) -> Any:
        """The value of what is written out: numbers, texts, lists, and lanewise's own objects made of these."""
        if isinstance(node, ast.List | ast.Tuple):
            items = [self._literal(item) for item in node.elts]
            if any(item is _UNKNOWN for item in items):
                return _UNKNOWN
            return items if isinstance(node, ast.List) else tuple(items)
        if isinstance(node, ast.Name | ast.Attribute):
            found = self._resolve(node)
            return found if callable(found) and not isinstance(found, Instance) else _UNKNOWN
        if isinstance(node, ast.Call):
            function = self._resolve(node.func)
            if isinstance(function, type) and issubclass(function, Configurable) and not node.keywords:
                values = [self._literal(argument) for argument in node.args]
                try:
                    return _UNKNOWN if any(value is _UNKNOWN for value in values) else function(*values)
                except _ERRORS:
                    return _UNKNOWN  # it is reported where it stands
            return _UNKNOWN
        try:
            return ast.literal_eval(node)
        except ValueError:
            return _UNKNOWN


def _texts(node: ast.expr) -> Iterator[str]:
    """The texts in a text, in a (nested) list, or among the values of a dict."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.List | ast.Tuple | ast.Dict):
        for item in node.values if isinstance(node, ast.Dict) else node.elts:
            yield from _texts(item)


def _stub(*args: Any, **kwargs: Any) -> None:
    """Stands for a method of a class that is only looked at."""


def _ours(value: Any) -> bool:
    name = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
    return isinstance(name, str) and name.partition(".")[0] == "lanewise"


def _of(function: Any, text: str) -> str:
    name = str(function.__name__)
    return text if text.startswith(name) else f"{name}: {text}"


def _keywords(function: Any) -> tuple[str, ...] | None:
    """The names of the arguments; None where any are taken."""
    if isinstance(function, type) and issubclass(function, KeywordChecked):
        makes_others = any("__new__" in cls.__dict__ for cls in function.__mro__ if cls not in (KeywordChecked, object))
        return None if makes_others else constructor_keywords(function)
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    return tuple(name for name, p in parameters.items() if p.kind is not p.VAR_POSITIONAL)


def _check_text(argument: str, text: str) -> None:
    """Look up a text that names an activation, an initializer, a regularizer or a constraint, or a picture."""
    from . import activations, constraints, initializers, regularizers
    from .models.diagram import check_svg

    if argument == "to_file":
        check_svg(text)

    if argument == "activation":
        activations.get(text)
    for suffix, module in (("initializer", initializers), ("regularizer", regularizers), ("constraint", constraints)):
        if argument.endswith(suffix):
            module.get(text)
