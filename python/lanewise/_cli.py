"""The command line."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    Args:
        arguments: by default those of the process.
    """
    from argparse import ArgumentParser

    parser = ArgumentParser(prog="lanewise", description="Dense neural networks on the CPU.")
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("info", help="what is compiled in and what runs on this machine")
    demo = commands.add_parser("demo", help="train a small network and compare its fingerprint")
    demo.add_argument("--check", action="store_true", help="exit with 1 if the fingerprint is another one")
    check = commands.add_parser("check", help="which lines of a Keras script or notebook will not work, not running it")
    check.add_argument("files", nargs="+", metavar="script.py|notebook.ipynb")
    given = parser.parse_args(arguments)
    if given.command is None and not given.version:
        parser.error("expected a command")
    try:
        from . import ops
    except ImportError as error:
        print(f"lanewise: {error}", file=sys.stderr)
        return 2
    if given.version:
        print(f"lanewise {ops.build_info()['version']}")
        parser.exit()
    if given.command == "info":
        print_info()
        return 0
    if given.command == "check":
        return check_files(given.files)
    from .demo import run

    return 0 if run() or not given.check else 1


def print_info() -> None:
    """Print `lanewise.build_info()` and the version of NumPy, a line each."""
    import numpy

    from . import ops

    info = ops.build_info()
    rows = {
        "lanewise": f"{info['version']} ({info['compiler']}), NumPy {numpy.__version__}",
        "CPU": info["cpu"],
        "ISAs compiled": ", ".join(info["isas_compiled"]),
        "ISAs available": ", ".join(info["isas_available"]),
        "ISA active": info["isa"],
        "threads": info["threads"],
        "thread runtime": info["thread_runtime"],
    }
    for name, value in rows.items():
        print(f"{name + ':':16}{value}")


def check_files(paths: Sequence[str]) -> int:
    """Print the lines that will not work; 0 if there are none, 1 if there are, 2 for a file that cannot be read."""
    from ._check import check_file

    code = 0
    for path in paths:
        try:
            findings = check_file(path)
        except OSError as error:
            findings, code = [], 2
            print(f"{path}: {error.strerror}", file=sys.stderr)
        except ValueError as error:
            findings, code = [], 2
            print(error, file=sys.stderr)
        else:
            print(*findings or [f"{path}: nothing found that will not work"], sep="\n")
        code = max(code, 1 if findings else 0)
    return code
