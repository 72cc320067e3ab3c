"""How the shared object is protected, what it needs, and whose licences the wheel has to state."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lanewise import _core

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

if shutil.which("readelf") is None:
    pytest.skip("needs readelf", allow_module_level=True)
import check_hardening  # noqa: E402

FLAGS = ["-O2", "-fPIC", "-shared", "-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack", "-fstack-protector-strong",
         "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]  # fmt: skip
SOURCE = """
#include <string.h>
#include <stdio.h>
void copy(const char* from, int n) { char to[64]; memcpy(to, from, n); puts(to); }
#ifdef BOTH
__asm__(".section .both,\\"awx\\",@progbits\\n.quad 1\\n.text");
#endif
#ifdef TEXT
int other;
__asm__(".text\\n.quad other\\n");
#endif
"""


def test_the_shared_object_is_protected(capsys):
    found = check_hardening.protections(Path(_core.__file__))
    print(found)
    sanitized = "libasan" in _needed(Path(_core.__file__))
    assert all(found[what] for what in check_hardening.LINKED)
    assert sanitized or all(found[what] for what in check_hardening.COMPILED)


@pytest.mark.parametrize(
    ("without", "instead", "missing"),
    [
        (None, [], set()),
        ("-Wl,-z,relro", ["-Wl,-z,norelro"], {"relro"}),
        ("-Wl,-z,now", ["-Wl,-z,lazy"], {"bind_now"}),
        ("-Wl,-z,noexecstack", ["-Wl,-z,execstack"], {"nx_stack"}),
        ("-fstack-protector-strong", ["-fno-stack-protector"], {"stack_protector"}),
        (None, ["-Wl,-rpath,/somewhere"], {"no_search_path"}),
        (None, ["-DBOTH"], {"no_wx_segment"}),
        (None, ["-DTEXT", "-Wl,-z,notext"], {"no_text_relocations"}),
    ],
)
def test_each_missing_protection_is_seen(tmp_path, without, instead, missing, capsys):
    compiler = shutil.which("gcc") or pytest.skip("needs GCC")
    (tmp_path / "x.c").write_text(SOURCE)
    flags = [flag for flag in FLAGS if flag != without] + instead
    subprocess.run([compiler, *flags, tmp_path / "x.c", "-o", tmp_path / "x.so"], check=True)
    found = check_hardening.protections(tmp_path / "x.so")
    assert {what for what, there in found.items() if not there} == missing
    assert check_hardening.main([str(tmp_path / "x.so")]) == bool(missing)


def _needed(path):
    done = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True)
    return set(re.findall(r"NEEDED.*\[([a-z_+]+)", done.stdout))


def test_nothing_is_needed_but_what_third_party_names():
    text = (ROOT / "THIRD_PARTY.md").read_text()
    needed = _needed(Path(_core.__file__)) - {"ld-linux-x", "libasan", "libubsan", "libgcov"}
    assert "libstdc++" in needed and all(name in text for name in needed), needed
    assert "Wenzel Jakob" in text and "GCC Runtime Library Exception" in text


def test_the_licences_are_in_the_package():
    """An installed package has them; a checkout names them for the wheel."""
    assert 'license-files = ["LICENSE", "THIRD_PARTY.md"]' in (ROOT / "pyproject.toml").read_text()
    try:
        files = importlib.metadata.files("lanewise") or []
    except importlib.metadata.PackageNotFoundError:
        return
    names = {path.name for path in files}
    assert "_core.pyi" not in names or {"LICENSE", "THIRD_PARTY.md"} <= names
