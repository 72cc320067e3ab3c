"""docs/keras.md says what is there: its table of names is the one of the modules, its imports work."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def script():
    spec = importlib.util.spec_from_file_location("keras_names", ROOT / "scripts" / "keras_names.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_names_is_that_of_the_modules():
    names = script()
    table = names.table()
    assert all(f"`{name}`" in table for name in ("Dense", "Adam", "EarlyStopping", "MeanSquaredError", "HeNormal"))
    assert names.PAGE.read_text(encoding="utf-8") == names.page_with(table), "python scripts/keras_names.py --write"


def test_the_imports_of_the_page_work():
    lines = re.findall(r"\| `((?:import|from) lanewise[^`]*)` \|", (ROOT / "docs/keras.md").read_text(encoding="utf-8"))
    assert len(lines) == 4
    for line in lines:
        exec(line, {})


def test_the_scripts_that_it_speaks_of_are_there():
    assert len(list((ROOT / "examples" / "keras").glob("*.py"))) >= 21
