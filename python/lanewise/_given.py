"""What a person's class was constructed with: its description, where it has no `get_config` of its own.

As in Keras 3, arguments that are plain values describe an object; what cannot be described is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any, NoReturn


class Given:
    """The arguments of a constructor, plain ones as they were then."""

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.args = tuple(map(_copied, args))
        self.kwargs = {key: _copied(value) for key, value in kwargs.items()}


def is_own(cls: Any) -> bool:
    """Whether a person wrote this class or function."""
    return not (cls.__module__ or "").startswith("lanewise.")  # None: made by `exec`


def is_model(obj: Any) -> bool:
    """Whether it is a model, ours or Keras's: a layer may have an attribute `layers` too."""
    return hasattr(type(obj), "train_on_batch")


def own_method(cls: type, name: str) -> type | None:
    """The person's class, this one or one that it inherits from, whose method of this name objects of it have."""
    definer = next((base for base in cls.__mro__ if name in vars(base)), None)
    return definer if definer is not None and is_own(cls) and is_own(definer) else None


def refuse_methods(cls: type, names: Collection[str], instead: str, why: str = "steps run in compiled code") -> None:
    """Raises NotImplementedError for a person's class that has a method which would be passed over."""
    for name in names:
        if own_method(cls, name):
            raise NotImplementedError(f"{cls.__name__}: a {name}() of its own would not be called, {why}; {instead}")


def has_layers(config: Mapping[str, Any]) -> bool:
    """Whether a config of a model is that of its layers, rather than the arguments of its class."""
    layers = config.get("layers")
    listed = isinstance(layers, list) and bool(layers) and all(isinstance(entry, Mapping) for entry in layers)
    return listed or "input_layers" in config or "build_input_shape" in config


def _copied(value: Any) -> Any:
    if type(value) in (list, tuple):
        return type(value)(map(_copied, value))
    return {key: _copied(item) for key, item in value.items()} if type(value) is dict else value


def _is_plain(value: Any) -> bool:
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or isinstance(value, str | int | float)


class _Arguments:
    """The arguments of an object's constructor, defaults included."""

    def __init__(self, obj: Any) -> None:
        signature = inspect.signature(type(obj).__init__)
        bound = signature.bind(obj, *obj._constructed_with.args, **obj._constructed_with.kwargs)
        bound.apply_defaults()
        self.named: dict[str, Any] = {}  # those of the signature
        self.nameless: list[str] = []  # those that a config cannot give
        self.others: dict[str, Any] | None = None  # those in **kwargs; None where there is no such thing
        for key, parameter in list(signature.parameters.items())[1:]:
            value = bound.arguments[key]
            if parameter.kind is parameter.VAR_KEYWORD:
                self.others = value
            elif parameter.kind is not parameter.VAR_POSITIONAL:
                self.named[key] = value
            if parameter.kind is parameter.POSITIONAL_ONLY or (parameter.kind is parameter.VAR_POSITIONAL and value):
                self.nameless.append(key)


def described(obj: Any, cls: type, base: Mapping[str, Any], known: Collection[str], given_name: bool) -> dict[str, Any]:
    """The config of an object by the arguments that it was made with.

    Args:
        obj: the object.
        cls: the class whose `__init__` has no `get_config` beside it.
        base: what the `get_config` above it says.
        known: keyword arguments of the package's class below it: `base` describes them.
        given_name: whether a name that was not given is part of the config too.

    Raises:
        NotImplementedError: an argument that cannot be described.
    """
    kind, given = type(obj), _Arguments(obj)
    others = given.others or {}
    if has_layers(base):
        base = {key: base[key] for key in ("name", "trainable") if key in base}
    if kind.__init__ is not cls.__init__:  # type: ignore[misc]
        own = inspect.signature(cls.__init__).parameters.keys() - base.keys()  # type: ignore[misc]
        rest = {key: value for key, value in (given.named | others).items() if key in own and _is_plain(value)}
        return {**base, **rest}  # to a get_config further down, which adds its own

    def refuse(argument: str, why: str) -> NoReturn:
        raise NotImplementedError(
            f"{kind.__name__}: its argument {argument} {why}, so it cannot be copied or saved by its arguments alone. "
            f"Give the class a get_config(self) that returns {{**super().get_config(), ...}} with what __init__ needs "
            "as plain values (and a from_config, where they have to be made into objects again)"
        )

    for name in given.nameless:
        refuse(name, "has no name to be given by")
    config: dict[str, Any] = {}
    for name, value in (given.named | others).items():
        if name in base:
            now = base[name]
            numbers = isinstance(value, int | float) and isinstance(now, int | float)
            if numbers and value != now and name not in ("trainable", "learning_rate"):
                refuse(name, f"was {value!r} and {now!r} is what became of it")
            config[name] = now
        elif name in others and name in known:
            continue  # input_shape and the like: a built model has them
        elif not _is_plain(value):
            refuse(name, f"is a {type(value).__name__}, no plain value")
        elif name in others and (value is None or value is False):
            refuse(name, "stands in no signature")  # `from_config` skips such options of Keras's
        else:
            config[name] = value
    later: Collection[str] = ("trainable",)  # what may have been set since, and where the constructor takes it
    if given.others is not None:
        later = base if hasattr(obj, "adapt") else ("trainable", "activity_regularizer")
    for name in later:
        if name != "name" and base.get(name) not in (None, True):
            config.setdefault(name, base[name])
    if given_name and "name" in base:
        config.setdefault("name", base["name"])
    return config


def check_config(cls: type, config: Mapping[str, Any], beside: Collection[str]) -> None:
    """Raises NotImplementedError where a person's class cannot be made again from what its `get_config` gave."""
    places = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    needed = [p.name for p in places if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    absent = [name for name in needed if name not in config]
    if absent:
        raise NotImplementedError(
            f"{cls.__name__}: get_config() leaves out {', '.join(absent)}, which __init__ needs: it could not be made "
            "again. Add it to what get_config() returns"
        )
    if not any(p.kind is p.VAR_KEYWORD for p in places):
        names = {p.name for p in places} | set(beside)
        odd = [key for key, value in config.items() if key not in names and value is not None and value is not False]
        if odd:
            raise NotImplementedError(
                f"{cls.__name__}: __init__ must take what get_config() gives, and does not take {', '.join(odd)}: add "
                "**kwargs, which go to super().__init__(**kwargs)"
            )
