"""The table of names in docs/keras.md, made from the modules themselves.

    python scripts/keras_names.py           # prints it
    python scripts/keras_names.py --write   # puts it into docs/keras.md

A test fails where the page and the modules differ.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import textwrap
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "keras.md"
BEGIN, END = "<!-- names: scripts/keras_names.py --write -->", "<!-- end of names -->"

CLASSES = (
    "layers", "losses", "metrics", "optimizers", "optimizers.schedules", "callbacks", "initializers", "regularizers",
    "constraints",
)  # fmt: skip
FUNCTIONS = ("activations", "utils", "ops")
MODULES = ("datasets",)
BASES = {"Layer", "Loss", "Metric", "Optimizer", "Callback", "Initializer", "Regularizer", "Constraint",
         "CallbackList", "LearningRateSchedule"}  # fmt: skip
MACHINERY = {"get", "serialize", "deserialize", "get_class"}


def names_of(module: str) -> list[str]:
    """The public names of `lanewise.keras.<module>` that a script would use; classes by their own names alone."""
    found: Any = importlib.import_module("lanewise.keras")
    for part in module.split("."):
        found = getattr(found, part)
    entries = [(name, getattr(found, name)) for name in found.__all__ if name not in MACHINERY]
    if module in CLASSES:
        classes = (name for name, entry in entries if inspect.isclass(entry) and name[0].isupper())
        return sorted(name for name in classes if name not in BASES)
    if module in MODULES:
        return sorted(name for name, entry in entries if inspect.ismodule(entry))
    return sorted(name for name, entry in entries if callable(entry))


def table() -> str:
    """A paragraph for each module."""
    parts = []
    for module in (*CLASSES, *FUNCTIONS, *MODULES):
        names = names_of(module)
        text = f"**`keras.{module}`** ({len(names)}): " + ", ".join(f"`{name}`" for name in names)
        parts.append(textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False))
    return "\n\n".join(parts)


def page_with(names: str) -> str:
    """The page's text with this table between its marks."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    return f"{before}{BEGIN}\n\n{names}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page_with(table()), encoding="utf-8")
    else:
        print(table())
