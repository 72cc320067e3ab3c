"""Closed tables of names, automatic names, and the checks of plain arguments that every floor shares.

A class is only ever found in a table written in the source: no name from a file or a user is imported.
"""

from __future__ import annotations

import operator
import sys
import threading
import warnings
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from inspect import getattr_static
from types import CodeType, FrameType
from typing import Any, ParamSpec, Self, TypeVar, cast

from . import _given, _registry
from ._missing import ABSENT, Absent

T = TypeVar("T")
P = ParamSpec("P")

LARGEST = 2.0**128 - 2.0**104
"""The largest number of float32."""
BEYOND = 2.0**128 - 2.0**103
"""The smallest number whose nearest float32 is infinite."""


asked = threading.local()
"""In a thread of the package's own: `asked.frame` is the one outside that its work was asked for in."""


def frame_outside() -> FrameType:
    """The frame outside the package that led here."""
    frame = sys._getframe(1)
    while frame.f_back is not None and f"{frame.f_globals.get('__name__')}.".startswith("lanewise."):
        frame = frame.f_back
    return getattr(asked, "frame", frame) if frame.f_globals is vars(threading) else frame


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """A warning at the line outside the package that led here."""
    frame = frame_outside()
    told = frame.f_globals.setdefault("__warningregistry__", {})
    name = frame.f_globals.get("__name__")
    warnings.warn_explicit(text, category, frame.f_code.co_filename, frame.f_lineno, name, told)


# --- misspelt keyword arguments -------------------------------------------------------------------------------

_RENAMED = {
    "lr": "learning_rate",
    "nb_epoch": "epochs",
    "output_dim": "units",
    "init": "kernel_initializer",
    "p": "rate",
    "callback": "callbacks",
    "metric": "metrics",
    "val_data": "validation_data",
    "val_split": "validation_split",
    "cce": "categorical_crossentropy",
    "scce": "sparse_categorical_crossentropy",
}
"""What Keras once had, or is often taken for what it has: too far from it for a likeness."""


def keywords(code: CodeType) -> tuple[str, ...]:
    """The names that a function takes as keyword arguments."""
    return code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]


def check_keywords(function: str, given: Collection[str], known: Collection[str]) -> None:
    """Raises TypeError for an argument that a function does not know; the message suggests the nearest one."""
    for name in given:
        if name not in known:
            accepted = [k for k in known if k != "self"]
            near = near_match(name, accepted)
            raise TypeError(f"{function}: unknown argument {name[:99]!r}.{near} Accepted: {', '.join(accepted)}.")


def constructor_keywords(cls: type) -> tuple[str, ...] | None:
    """Keyword arguments of a constructor, and of those it hands **kwargs up to; None where the last takes any."""
    names: dict[str, None] = {}
    for base in cls.__mro__:
        init = base.__dict__.get("__init__")
        if init is not None and hasattr(init, "__code__"):
            names.update(dict.fromkeys(keywords(init.__code__)))
            if not init.__code__.co_flags & 0x08:  # no **kwargs
                return tuple(names)
    return None


def _called(made: object, values: Callable[[], Mapping[str, Any]]) -> str:
    """How an object was made; of a person's own classes that is not known."""
    cls = type(made)
    if _given.is_own(cls):
        return object.__repr__(made)
    return f"{cls.__name__}({', '.join(f'{k}={v!r}' for k, v in values().items() if v is not None)})"


class KeywordChecked:
    """Base of what people construct: a misspelt keyword argument names the class and the nearest argument it has."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made = super().__new__(cls)
        if _given.is_own(cls):  # a user's subclass may take any others
            made.__dict__["_constructed_with"] = _given.Given(args, kwargs)
        elif kwargs:
            known = constructor_keywords(cls)
            if known is not None:
                check_keywords(cls.__name__, kwargs, known)
        return made

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not isinstance(getattr_static(self, name, None), Absent)]

    def __repr__(self) -> str:
        known = [name for name in constructor_keywords(type(self)) or () if name != "self"]
        if set(known) <= vars(self).keys():
            return _called(self, lambda: {name: vars(self)[name] for name in known})
        return super().__repr__()


for _name, _absent in ABSENT.items():
    setattr(KeywordChecked, _name, _absent)


def keyword_checked(method: Callable[P, T]) -> Callable[P, T]:
    """A method whose misspelt keyword arguments raise as those of a constructor do."""
    name, known = method.__name__, frozenset(keywords(method.__code__))

    @wraps(method)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        if not known.issuperset(kwargs):
            check_keywords(name, kwargs, keywords(method.__code__))
        return method(*args, **kwargs)

    return checked


# --- names, configs ---------------------------------------------------------------------------------------------


class Configurable(KeywordChecked):
    """Something that is rebuilt from its class name and the keyword arguments of its constructor."""

    _set_later: tuple[str, ...] = ()
    """What a config says of things that a constructor of a person's own need not take."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not _given.is_own(cls) or "__init__" not in cls.__dict__ or "get_config" in cls.__dict__:
            return
        below = next(base for base in cls.__mro__ if not _given.is_own(base))

        def get_config(self: Any) -> dict[str, Any]:
            """The arguments that it was made with."""
            automatic = bool(self._set_later) and self.name.startswith(snake_case(type(self).__name__))
            known = constructor_keywords(below) or ()
            base = super(cls, self).get_config()  # type: ignore[misc]
            return _given.described(self, cls, base, known, automatic)

        cls.get_config = get_config  # type: ignore[method-assign]

    def get_config(self) -> dict[str, Any]:
        """Keyword arguments that make an equal object, as plain JSON values."""
        return {}

    def _beside(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """What stands beside its config in a description."""
        return {}

    def _take_beside(self, described: Mapping[str, Any]) -> None:
        """Take it from there."""

    def __repr__(self) -> str:
        return _called(self, self.get_config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The object that `get_config` described, here or in Keras.

        Keras writes down options that lanewise does not have; those that are off (None, False) are skipped.
        """
        known = constructor_keywords(cls)
        return cls(
            **{k: v for k, v in config.items() if known is None or k in known or (v is not None and v is not False)}
        )


C = TypeVar("C", bound=Configurable)


def from_description(function: Callable[P, T]) -> Callable[P, T]:
    """A function that makes something of a description: whatever a malformed one runs into is one ValueError."""

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError) as error:
            what = f"it has no {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
            raise ValueError(f"config: expected what get_config() or to_json() gave; {what[:500]}") from error

    return checked


def snake_case(name: str) -> str:
    """`InputLayer` -> `input_layer`, `ReLU` -> `re_lu`, `L1L2` -> `l1_l2`: Keras's spelling of automatic names."""
    text = ""
    for i, ch in enumerate(name):
        after_lower = i > 0 and name[i - 1].islower()
        before_lower = i + 1 < len(name) and (name[i + 1].islower() or name[i + 1].isdigit())
        if ch.isupper() and i > 0 and (after_lower or before_lower):
            text += "_"
        text += ch.lower()
    return text


def table_of(*classes: type[C], **aliases: type[C]) -> dict[str, type[C]]:
    """Table that knows each class by its own name, its snake_case name and the aliases."""
    table: dict[str, type[C]] = {}
    for cls in classes:
        table[cls.__name__] = cls
        table[snake_case(cls.__name__)] = cls
    table.update(aliases)
    return table


def near_match(name: str, known: list[str], alike: float = 0.6) -> str:
    """' Did you mean ...?' or an empty text; alike: how much, up to 1."""
    import difflib

    if len(name) > 99:
        return ""
    lower = {k.lower(): k for k in known}
    text = name.lower()
    swapped = (text[:i] + text[i + 1] + text[i] + text[i + 2 :] for i in range(len(text) - 1))
    found = (
        [slip for slip in (_RENAMED.get(text), *swapped) if slip in lower]
        or difflib.get_close_matches(text, list(lower), 1, alike)
        or [key for key in lower if len(text) > 1 and key.startswith(f"{text}_")]
    )
    return f" Did you mean {lower[found[0]]!r}?" if found else ""


class UnknownName(ValueError):
    """A name that stands in no table: of a class or function of a person's own, or misspelt."""


def lookup(kind: str, name: str, table: Mapping[str, T]) -> T:
    """The user's class of this name (`_registry`), or table[name].

    Raises:
        ValueError: unknown name; the message says what to use instead of a name that Keras has, or suggests the
            nearest one, and lists all.
    """
    custom = _registry.find_class(name)
    if custom is not None:
        return cast(T, custom)
    name = name.removeprefix("Custom>")  # Keras 2 registers its own optimizers so
    if name in table:
        return table[name]
    from ._missing import instead_of_identifier

    known = sorted(table, key=str.lower)
    shown = [key for key in known if key == key.lower()] or known  # one spelling of each is enough
    advice = instead_of_identifier(name)
    if advice is not None:
        raise ValueError(f"{kind}: no {name!r} here: {advice}. Available: {', '.join(shown)}.")
    raise UnknownName(f"{kind}: unknown name {name[:99]!r}.{near_match(name, known)} Available: {', '.join(shown)}.")


def serialize(obj: Configurable) -> dict[str, Any]:
    """{"class_name", "config"} of an object, as Keras writes it.

    Raises:
        NotImplementedError: a class of a person's own that could not be made again from its config.
    """
    cls, config = type(obj), obj.get_config()
    if _given.is_own(cls):
        _given.check_config(cls, config, cls._set_later)
    return {"class_name": _registry.get_registered_name(cls), "config": config, **obj._beside(config)}


def deserialize(kind: str, config: Any, table: Mapping[str, type[C]]) -> C:
    """The object that `serialize` described; only classes of the table are made."""
    if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str):
        raise ValueError(f"{kind}: expected {{'class_name': ..., 'config': {{...}}}}, received {config!r}")
    cls = lookup(kind, config["class_name"], table)
    if not issubclass(cls, Configurable):
        raise ValueError(f"{kind}: {config['class_name']!r} is the class {cls.__name__}, which is no {kind}")
    inner = config.get("config", {})
    if not isinstance(inner, Mapping):
        raise ValueError(f"{kind}: the config of {config['class_name']} must be a dict, received {inner!r}")
    if isinstance(inner.get("name"), list | dict):
        raise ValueError(f"{kind}: name: expected a text, received {_shown(inner['name'])}")
    try:
        made = cls.from_config(inner)
    except TypeError as error:
        if not _given.is_own(cls):
            raise
        raise ValueError(
            f"{cls.__name__}: __init__ must take what get_config() gives, {sorted(inner)}: {error}"
        ) from None
    made._take_beside(config)
    return made


def resolve(kind: str, identifier: Any, table: Mapping[str, type[C]], base: type[C]) -> C:
    """An object from a name, a config, a class or an object that is one already.

    Raises:
        ValueError: unknown name. TypeError: none of these.
    """
    if isinstance(identifier, base):
        return identifier
    if isinstance(identifier, str):
        return lookup(kind, identifier, table)()
    if isinstance(identifier, Mapping):
        return deserialize(kind, identifier, table)
    if isinstance(identifier, type) and issubclass(identifier, base):
        return identifier()
    article = "an" if base.__name__[0] in "AEIOU" else "a"
    raise TypeError(f"{kind}: expected a name or {article} {base.__name__}, received {_shown(identifier)}")


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} of type {type(value).__name__}"


# --- automatic names ------------------------------------------------------------------------------------------

_used: dict[str, int] = {}


def automatic_name(kind: str) -> str:
    """`dense`, `dense_1`, ...: one count for each kind, as in Keras."""
    count = _used.get(kind, 0)
    _used[kind] = count + 1
    return kind if count == 0 else f"{kind}_{count}"


def name_of(kind: type, given: Any) -> str:
    """The name of a layer or a model as it was given; None: an automatic one. Raises ValueError for what is no name,
    nor one of a group in a file."""
    if given is None:
        return automatic_name(snake_case(kind.__name__))
    if not isinstance(given, str) or not given or "/" in given:
        raise ValueError(f"name: expected a text without '/', received {given!r}")
    if given in (".", "..") or "\0" in given or len(given) > 500 or given.encode(errors="replace").decode() != given:
        raise ValueError(f"name: no file could have it, received {given[:60]!r}")
    return given


def reset_automatic_names() -> None:
    """Begin every count again (`keras.backend.clear_session`)."""
    _used.clear()


# --- checks of plain arguments ----------------------------------------------------------------------------------


def check_integer(argument: str, value: Any, minimum: int) -> int:
    """value as an int of at least `minimum`.

    Raises:
        TypeError: not an integer. ValueError: below the minimum.
    """
    expected = {0: "an integer >= 0", 1: "a positive integer"}.get(minimum, f"an integer >= {minimum}")
    if isinstance(value, bool):
        raise TypeError(f"{argument}: expected {expected}, received {_shown(value)}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{argument}: expected {expected}, received {_shown(value)}") from None
    if number < minimum:
        raise ValueError(f"{argument}: expected {expected}, received {number}")
    return number


def check_number(argument: str, value: Any, expected: str, allowed: Callable[[float], bool]) -> float:
    """value as a float for which `allowed` holds; `expected` says in words what that is.

    Raises:
        TypeError: not a number. ValueError: not allowed (NaN never is).
    """
    if isinstance(value, str | bytes | bool | complex):
        raise TypeError(f"{argument}: expected {expected}, received {_shown(value)}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{argument}: expected {expected}, received {_shown(value)}") from None
    except OverflowError:
        raise ValueError(f"{argument}: expected {expected}, received {_shown(value)}") from None
    if not allowed(number):
        beyond = ", which is infinite in float32" if LARGEST < abs(number) < float("inf") else ""
        raise ValueError(f"{argument}: expected {expected}, received {number!r}{beyond}")
    return number


def check_finite(argument: str, value: Any) -> float:
    """value as a finite float."""
    return check_number(argument, value, "a finite number", lambda v: abs(v) <= LARGEST)


def check_not_negative(argument: str, value: Any) -> float:
    """value as a finite float >= 0."""
    return check_number(argument, value, "a finite number >= 0", lambda v: 0.0 <= v <= LARGEST)


def check_positive(argument: str, value: Any) -> float:
    """value as a finite float > 0."""
    return check_number(argument, value, "a finite number > 0", lambda v: 0.0 < v <= LARGEST)


def check_share(argument: str, value: Any) -> float:
    """value as a float in [0, 1]."""
    return check_number(argument, value, "a number in [0, 1]", lambda v: 0.0 <= v <= 1.0)


def check_below_one(argument: str, value: Any) -> float:
    """value as a float in [0, 1), and not so near to 1 that float32 rounds it up."""
    return check_number(argument, value, "a number in [0, 1)", lambda v: 0.0 <= v <= 1.0 - 2.0**-24)


def check_default(argument: str, value: Any, default: Any, why: str) -> None:
    """An argument of Keras's that is accepted only at its default.

    Raises:
        NotImplementedError: any other value.
    """
    if value != default:
        raise NotImplementedError(f"{argument}: only {default!r} is supported, {why}; received {_shown(value)}")
