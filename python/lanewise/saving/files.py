"""Files: read if they are regular, written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast


def check_regular(path: str) -> None:
    """Raises ValueError for what is there and neither a file nor a directory: a pipe, a device, a socket."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise ValueError(f"filepath: expected a file, received the pipe or device {path!r}")


def open_regular(path: str) -> BinaryIO:
    """A file, to be read from its begin. A pipe, which would wait for a writer, or a device is none.

    Raises:
        ValueError: it is no regular file. OSError: it cannot be read.
    """
    check_regular(path)
    return _opened(path, "rb")


def _opened(path: str, mode: str, **options: Any) -> BinaryIO:
    try:
        return cast(BinaryIO, open(path, mode, **options))
    except RuntimeError as error:  # before 3.13 Python's word for a lock that finds no memory
        raise MemoryError(str(error)) from error


@contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well; else `path` stays as it was.

    The bytes go to a file beside it, which is synced and renamed, and the directory is synced: whenever the process or
    the machine stops, `path` holds the old bytes or the new ones. Who has the old file open or mapped keeps it.

    Raises:
        ValueError: a pipe or device is in its place.
        OSError: the directory does not exist, is read-only, or full. (Where syncing the directory fails in the end, the
            new file is in place already.)
    """
    target = os.path.realpath(path)
    if os.path.isdir(target):
        raise IsADirectoryError(f"filepath: expected a file, received the directory {path!r}")
    check_regular(target)
    directory, name = os.path.split(target)
    if not os.path.isdir(directory):
        raise FileNotFoundError(f"filepath: the directory {directory!r} does not exist; make it first, for {path!r}")
    temporary = os.path.join(directory, f".{name[:100]}.{os.urandom(6).hex()}.tmp")
    handle = os.open(directory, os.O_RDONLY)  # before anything is written
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
        with _opened(temporary, "w+b", opener=lambda name, _: os.open(name, flags, 0o666)) as file:
            with suppress(FileNotFoundError):
                os.chmod(temporary, os.stat(target).st_mode & 0o777)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        os.fsync(handle)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    finally:
        os.close(handle)
