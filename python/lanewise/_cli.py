"""The command line."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    Args:
        arguments: by default those of the process.
    """
    from argparse import ArgumentParser

    parser = ArgumentParser(prog="python -m lanewise", description="Dense neural networks on the CPU.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("info", help="what is compiled in and what runs on this machine")
    demo = commands.add_parser("demo", help="train a small network and compare its fingerprint")
    demo.add_argument("--check", action="store_true", help="exit with 1 if the fingerprint is another one")
    given = parser.parse_args(arguments)
    try:
        from . import ops  # noqa: F401  loads the compiled core
    except ImportError as error:
        print(f"lanewise: {error}", file=sys.stderr)
        return 2
    if given.command == "info":
        print_info()
        return 0
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
