"""Files from elsewhere: on this machine or over https, with their hash checked.

A source is ``file:weights/run.safetensors`` (relative to the working folder), ``file:/data/run.pt``
or ``file:///data/run.pt``, or an ``https:`` URL, for which the SHA-256 must be known beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from threetconv.errors import InputError
from threetconv.support.provenance import file_sha256

__all__ = ["cached_file", "check_source", "fetch"]

Downloader = Callable[[str, Any, Any], Any]  # pooch's: (url, file to write, pooch)

CHUNK = 1 << 20  # bytes per read of a download


def check_source(source: str, sha256: str | None) -> str:
    """The scheme of a source, "file" or "https"; nothing is read or downloaded.

    Args:
        source: where the file is, see the module.
        sha256: 64 hexadecimal digits, or None.

    Raises:
        InputError: another scheme, ``https:`` without a hash or with a password, or a hash that is
            not one.
    """
    try:
        parts = urlsplit(source)
    except ValueError as error:
        raise InputError(
            f"source {source!r}",
            found=str(error),
            expected="file: with a path, or https: with a SHA-256",
            remedy="correct the URL",
        ) from error
    if parts.scheme not in ("file", "https") or not (parts.path or parts.netloc):
        scheme = f"the scheme {parts.scheme}:" if parts.scheme else "no scheme"
        raise InputError(
            f"source {source!r}",
            found=scheme,
            expected="file: with a path, or https: with a SHA-256",
            remedy="write file:PATH for a file on this machine, or use the https: address",
        )
    if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
        raise InputError(
            f"source {source!r}",
            found=f"a file of the host {parts.netloc!r}",
            expected="a file on this machine",
            remedy="write file:PATH (one colon, the path as it is) or file:///ABSOLUTE/PATH",
        )
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise InputError(
            f"SHA-256 of {source!r}",
            found=repr(sha256),
            expected="64 hexadecimal digits",
            remedy="take them from whoever published the file, or run sha256sum on one you trust",
        )
    if parts.scheme == "https" and sha256 is None:
        raise InputError(
            f"source {source!r}",
            found="an https: URL without a SHA-256",
            expected="the SHA-256 of the file, so that what is fetched is what was meant",
            remedy="add sha256, as published or as sha256sum prints it for a copy you trust",
        )
    if parts.scheme == "https" and parts.username is not None:
        raise InputError(
            f"source at {parts.hostname}",
            found="a user name in the URL",
            expected="a URL that can be recorded with what is made of it",
            remedy="download the file yourself and name it with file:",
        )
    return parts.scheme


def cached_file(url: str, sha256: str, cache: str | Path) -> Path:
    """Where `fetch` keeps a download: first digits of its hash, then the URL's own file name."""
    name = re.sub(r"[^\w.+-]", "_", PurePosixPath(unquote(urlsplit(url).path)).name)
    return Path(cache).absolute() / f"{sha256.lower()[:16]}-{name or 'file'}"


def fetch(
    source: str,
    *,
    sha256: str | None = None,
    cache: str | Path,
    downloader: Downloader | None = None,
) -> Path:
    """A file on this machine that is what was asked for.

    Args:
        source: ``file:`` or ``https:``, see the module.
        sha256: required for ``https:``; checked wherever it is given.
        cache: folder of downloads. A file put there by hand, under the name that `cached_file`
            gives, is used like a download.
        downloader: pooch's own, by default; without a progress bar.

    Returns:
        The user's own file for ``file:``, the cached one for ``https:``.

    Raises:
        InputError: as `check_source`; a file that is missing; a file with another hash (a download
            is then deleted, a file that was there is left alone); a download that fails, with the
            place to put the file by hand.
    """
    if check_source(source, sha256) == "https":
        assert sha256 is not None
        return _download(source, sha256.lower(), cache, downloader)
    # file:PATH is the path as it is; file://... is a URL with % escapes
    path = Path(source.removeprefix("file:"))
    if source.startswith("file://"):
        path = Path(unquote(urlsplit(source).path))
    if not path.is_file():
        raise InputError(
            path,
            found="a folder" if path.is_dir() else "nothing at this path",
            expected=f"the file that the source {source} names",
            remedy=f"correct the source; a path that does not begin with / starts at {Path.cwd()}",
        )
    if sha256 is not None:
        _demand_hash(path, sha256.lower(), "correct the source or its sha256, whichever is wrong")
    return path


def _download(url: str, sha256: str, cache: str | Path, downloader: Downloader | None) -> Path:
    import pooch  # only where something is downloaded

    target = cached_file(url, sha256, cache)
    if target.exists():
        # pooch would replace the file; it may be the user's, and there may be no network
        _demand_hash(target, sha256, f"delete it; it is then downloaded from {url}")
        return target
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}",
            fname=target.name,
            path=target.parent,
            downloader=downloader or pooch.HTTPDownloader(progressbar=False, chunk_size=CHUNK),
        )
    except (OSError, ValueError) as error:  # requests' errors are OSErrors
        # pooch tells a wrong hash from other failures by the message alone
        wrong = isinstance(error, ValueError) and "known hash" in str(error)
        remedy = (
            "if the publisher has changed the file, correct sha256; nothing of the download is kept"
            if wrong
            else f"correct the URL; or, on a machine without network access, fetch {url} elsewhere "
            f"and put the file at {target} (its hash is checked there as well)"
        )
        raise InputError(
            url,
            found=f"{type(error).__name__}: {error}",
            expected=f"a file with SHA-256 {sha256}",
            remedy=remedy,
        ) from error
    return target


def _demand_hash(path: Path, sha256: str, remedy: str) -> None:
    found = file_sha256(path)
    if found != sha256:
        raise InputError(
            path, found=f"SHA-256 {found}", expected=f"SHA-256 {sha256}", remedy=remedy
        )
