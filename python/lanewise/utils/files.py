"""get_file: a file from the cache that Keras uses too, or from its address."""

from __future__ import annotations

import os
from typing import Any

_CHUNK = 1 << 18
_TIMEOUT = 60.0  # seconds without a byte


def get_file(
    fname: Any = None, origin: str | None = None, untar: bool = False, md5_hash: str | None = None,
    file_hash: str | None = None, cache_subdir: str = "datasets", hash_algorithm: str = "auto", extract: bool = False,
    archive_format: Any = "auto", cache_dir: Any = None, force_download: bool = False,
) -> str:  # fmt: skip
    """The path of a file in the cache, downloaded if it is not there; Keras's cache, by Keras's rules.

    Args:
        fname: name in the cache; by default the last part of the address.
        origin: address, `https://...` (`http`, `file` and `ftp` too).
        untar: as extract, for tar archives only.
        md5_hash: file_hash, by MD5.
        file_hash: of the whole file in hexadecimal digits; a file in the cache that does not have it is downloaded
            again.
        cache_subdir: folder in the cache.
        hash_algorithm: 'sha256', 'md5' or 'auto' (by the length).
        extract: unpack the archive and return the folder; entries that lead out of it raise.
        archive_format: 'auto', 'tar', 'zip', or a list of these.
        cache_dir: by default the environment variable KERAS_HOME, or `~/.keras`.
        force_download: even if the file is there.

    Returns:
        The file's path, or that of the folder it was unpacked to.

    Raises:
        OSError: the address does not answer. ValueError: bad arguments, another hash, no archive, or an unsafe one.
    """
    if origin is None:
        raise ValueError("origin: expected the address of the file, received None")
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    if hash_algorithm not in ("auto", "sha256", "md5"):
        raise ValueError(f"hash_algorithm: expected 'auto', 'sha256' or 'md5', received {hash_algorithm!r}")
    given = "" if fname is None else os.fspath(fname)
    name = given or _last_part(origin)
    if os.sep in name:
        raise ValueError(f"fname: expected a name without {os.sep!r}, received {name!r}; folders go into cache_dir")
    folder = _folder(cache_dir, cache_subdir)
    target = unpacked = os.path.join(folder, name)
    if extract or untar:
        if given and "." in given:
            unpacked = os.path.join(folder, f"{given[: given.find('.')]}_extracted")
        else:
            target = f"{unpacked}_archive"
    if force_download or not os.path.exists(target) or not _intact(target, file_hash, hash_algorithm):
        _download(origin, target, file_hash, hash_algorithm)
    if not (extract or untar):
        return target
    _unpack(target, unpacked, "tar" if untar else archive_format)
    return unpacked


def _last_part(origin: str) -> str:
    from urllib.parse import urlsplit

    name = os.path.basename(urlsplit(origin).path)
    if not name:
        raise ValueError(f"fname: expected a name, since {origin!r} ends with none")
    return name


def _folder(cache_dir: Any, cache_subdir: str) -> str:
    import tempfile

    base = os.environ.get("KERAS_HOME") or os.path.join("~", ".keras") if cache_dir is None else os.fspath(cache_dir)
    base = os.path.expanduser(base)
    folder = os.path.join(base, cache_subdir)
    try:
        os.makedirs(folder, exist_ok=True)
        if not os.access(folder, os.W_OK) and not os.listdir(folder):
            raise PermissionError
    except OSError:  # as Keras does where the home folder cannot be written to
        folder = os.path.join(tempfile.gettempdir(), ".keras", cache_subdir)
        os.makedirs(folder, exist_ok=True)
    return folder


def _hasher(file_hash: str, algorithm: str) -> Any:
    import hashlib

    if algorithm == "sha256" or (algorithm == "auto" and len(file_hash) == 64):
        return hashlib.sha256()
    return hashlib.md5(usedforsecurity=False)


def _intact(path: str, file_hash: str | None, algorithm: str) -> bool:
    if file_hash is None:
        return True
    hasher = _hasher(file_hash, algorithm)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    if hasher.hexdigest() == file_hash.lower():
        return True
    print(f"{path}: not the file that was expected ({hasher.name} {hasher.hexdigest()}); downloading it again")
    return False


def _download(origin: str, target: str, file_hash: str | None, algorithm: str) -> None:
    """The bytes of an address into a file that is there whole or not at all."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    from ..saving.files import replacing

    print(f"Downloading data from {origin}")
    try:
        with urlopen(Request(origin, headers={"User-Agent": "lanewise"}), timeout=_TIMEOUT) as source:
            total = int(source.headers.get("Content-Length") or 0)
            hasher = None if file_hash is None else _hasher(file_hash, algorithm)
            with replacing(target) as file:
                done = _copy(source, file, hasher, total)
                if total and done != total:
                    raise OSError(f"the connection ended after {done} of {total} bytes")
                if hasher is not None and file_hash is not None and hasher.hexdigest() != file_hash.lower():
                    raise ValueError(
                        f"{origin}: expected a file with {hasher.name} {file_hash}, received one with "
                        f"{hasher.hexdigest()}; nothing was kept"
                    )
    except (OSError, HTTPException) as error:
        why = getattr(error, "reason", error)
        if isinstance(error, HTTPError):
            error.close()  # it is the server's answer, too
            why = f"{error.code} {why}"
        raise OSError(
            f"{origin} could not be downloaded: {why}. Without a network, put the file at {target} yourself"
        ) from error


def _copy(source: Any, file: Any, hasher: Any, total: int) -> int:
    from ..progress import make_progress

    bar = make_progress(1, 1, -(-total // 1024) or 1, "KB")
    done = 0
    try:
        bar.on_epoch_begin(0)
        while chunk := source.read(_CHUNK):
            file.write(chunk)
            if hasher is not None:
                hasher.update(chunk)
            done += len(chunk)
            bar.update(-(-done // 1024), {})
        bar.on_epoch_end({})
    finally:
        bar.close()
    return done


def _unpack(archive: str, folder: str, formats: Any) -> None:
    """Unpack into a folder beside, then move it into place; entries out of it, links out of it and devices raise."""
    import shutil
    import tarfile
    import tempfile
    import zipfile

    if formats == "auto":
        formats = ["tar", "zip"]
    kinds = [formats] if isinstance(formats, str) else list(formats or ())
    for kind in kinds:
        if kind not in ("tar", "zip"):
            raise ValueError(f"archive_format: expected 'auto', 'tar' or 'zip', received {kind!r}")
    kind = next((k for k in kinds if (tarfile.is_tarfile if k == "tar" else zipfile.is_zipfile)(archive)), None)
    if kind is None:
        raise ValueError(f"{archive}: expected an archive of the format {' or '.join(kinds) or None}, received none")
    fresh = tempfile.mkdtemp(prefix=".unpacking-", dir=os.path.dirname(folder))
    try:
        if kind == "tar":
            with tarfile.open(archive) as tar:
                tar.extractall(fresh, filter="data")
        else:
            with zipfile.ZipFile(archive) as packed:
                for entry in packed.infolist():
                    _check_inside(fresh, entry.filename)
                packed.extractall(fresh)
        os.makedirs(folder, exist_ok=True)
        for entry_name in os.listdir(fresh):
            old = os.path.join(folder, entry_name)
            if os.path.isdir(old) and not os.path.islink(old):
                shutil.rmtree(old)
            os.replace(os.path.join(fresh, entry_name), old)
    except tarfile.TarError as error:
        raise ValueError(f"{archive}: {error}; nothing was unpacked") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _check_inside(folder: str, name: str) -> None:
    base = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(base, name))
    if os.path.commonpath([path, base]) != base:
        raise ValueError(f"an entry of the archive leads out of its folder: {name!r}; nothing was unpacked")
