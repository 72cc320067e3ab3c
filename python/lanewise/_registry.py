"""Classes and functions of the user's that a file may name: a table of objects, never an import of a name.

A file can name what stands in the package's own tables, what was registered here, or what is handed to a loader as
`custom_objects`. All three are objects that the running program already has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ._given import is_own
from ._structure import Held, Within

T = TypeVar("T")

_registered: dict[str, Any] = {}
_names: dict[Any, str] = {}
_collected, _scope = Held(), Held()  # the table of `collected`; what custom objects are called
_DEFAULT_PACKAGE = "Custom"


def register_keras_serializable(package: str = _DEFAULT_PACKAGE, name: str | None = None) -> Callable[[T], T]:
    """Decorator: files may name this class or function, as 'package>name'.

    Args:
        package: first part of the name.
        name: second part; by default the object's own name.

    Raises:
        ValueError: a class without `get_config`.
    """

    def decorator(obj: T) -> T:
        if isinstance(obj, type) and not hasattr(obj, "get_config"):
            raise ValueError(f"register_keras_serializable: class {obj.__name__} has no get_config()")
        key = f"{package}>{obj.__name__ if name is None else name}"  # type: ignore[attr-defined]
        _registered[key] = obj
        _names[obj] = key
        return obj

    return decorator


def get_custom_objects() -> dict[str, Any]:
    """The global table itself, name -> class or function; what is put there may be named by files."""
    return _registered


def get_registered_name(obj: Any) -> str:
    """The name under which a class or function is registered, or its own name; inside `collected` a unique one.

    Raises:
        ValueError: it has no name, as a `functools.partial` has none, and is not registered with one.
    """
    try:
        name = _names.get(obj)
    except TypeError:  # not hashable
        name = None
    found = _collected.value
    own = getattr(obj, "__name__", None)
    if name or found is None or (own and not is_own(obj)):
        if not (name or own):
            raise ValueError(f"{str(obj)[:60]}: it has no name that a file could hold; write it as a function: def")
        return name or str(own)
    key = f"own>{own or type(obj).__name__}"  # never a name of the package's
    while found.setdefault(key, obj) is not obj:
        key += "_"
    return key


def collected() -> Within[dict[str, Any]]:
    """Inside, configs name each class and function of the user's as in the table that this gives, lambdas too."""
    return Within(_collected, {})


def get_registered_object(
    name: str, custom_objects: Mapping[str, Any] | None = None, module_objects: Mapping[str, Any] | None = None
) -> Any:
    """The object of this name in the scope, the global table or the tables given; None where there is none."""
    for table in (_scope.value or {}, _registered, custom_objects or {}, module_objects or {}):
        if name in table:
            return table[name]
    return None


class CustomObjectScope:
    """`with CustomObjectScope({"MyLayer": MyLayer}): ...`: inside, files and configs may name these objects."""

    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        if custom_objects is not None and not isinstance(custom_objects, Mapping):
            raise TypeError(f"custom_objects: expected a dict of name -> object, received {custom_objects!r}")
        self.custom_objects = dict(custom_objects or {})

    def __enter__(self) -> CustomObjectScope:
        self._within = Within(_scope, {**(_scope.value or {}), **self.custom_objects})
        self._within.__enter__()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._within.__exit__(kind, error, trace)


custom_object_scope = CustomObjectScope


def find_class(name: str) -> type | None:
    """The user's class of this name, with or without its package; None for a name that is not the user's."""
    found = get_registered_object(name)
    return found if isinstance(found, type) else None


def find_function(name: str) -> Callable[..., Any] | None:
    """The user's function of this name; None for a name that is not the user's."""
    found = get_registered_object(name)
    return found if callable(found) and not isinstance(found, type) else None
