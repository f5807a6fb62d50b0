"""Files from elsewhere: which sources are taken, what is checked, what stays on disk."""

from __future__ import annotations

import gc
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pooch
import pytest

from threetconv.errors import InputError
from threetconv.support.download import cached_file, check_source, fetch

CONTENT = b"weights " * 1000
SHA = hashlib.sha256(CONTENT).hexdigest()
URL = "https://weights.example.org/v1/run%201.safetensors?download=true"


class Server:
    """A web server on this machine; `through` takes https: requests to it by plain http."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                if "gone" in self.path:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(CONTENT)))
                self.end_headers()
                self.wfile.write(CONTENT[:100] if "cut" in self.path else CONTENT)

            def log_message(self, *_arguments: Any) -> None:
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()

    def through(self, url: str, output: Any, pool: Any) -> None:
        here = f"http://127.0.0.1:{self.http.server_address[1]}"
        local = url.replace("https://weights.example.org", here)
        pooch.HTTPDownloader(progressbar=False)(local, output, pool)

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def test_a_download_is_checked_and_kept(server: Server, tmp_path: Path) -> None:
    path = fetch(URL, sha256=SHA.upper(), cache=tmp_path / "c", downloader=server.through)
    assert path.read_bytes() == CONTENT
    assert path == cached_file(URL, SHA, tmp_path / "c")
    assert path.name == f"{SHA[:16]}-run_1.safetensors"
    assert fetch(URL, sha256=SHA, cache=tmp_path / "c", downloader=server.through) == path
    assert server.asked == ["/v1/run%201.safetensors?download=true"]  # the second came from disk


def test_a_download_with_another_hash_does_not_stay(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        fetch(URL, sha256="0" * 64, cache=tmp_path, downloader=server.through)
    assert SHA in caught.value.found
    assert "correct sha256" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


# pooch leaves the socket of a failed download to the garbage collector
@pytest.mark.filterwarnings("ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("word", "found"), [("gone", "404"), ("cut", "Error")])
def test_a_failed_download_leaves_nothing(
    word: str, found: str, server: Server, tmp_path: Path
) -> None:
    url = f"https://weights.example.org/{word}.pt"
    with pytest.raises(InputError, match=found) as caught:
        fetch(url, sha256=SHA, cache=tmp_path, downloader=server.through)
    gc.collect()
    assert str(cached_file(url, SHA, tmp_path)) in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_offline_the_place_is_named_and_a_file_put_there_is_used(tmp_path: Path) -> None:
    url = "https://127.0.0.1:1/run.safetensors"  # nobody listens; pooch's own downloader
    with pytest.raises(InputError) as caught:
        fetch(url, sha256=SHA, cache=tmp_path)
    place = cached_file(url, SHA, tmp_path)
    assert f"put the file at {place} " in caught.value.remedy
    assert "ConnectionError" in caught.value.found
    place.write_bytes(CONTENT)
    assert fetch(url, sha256=SHA, cache=tmp_path) == place


def test_a_wrong_file_put_by_hand_is_refused_and_left(server: Server, tmp_path: Path) -> None:
    place = cached_file(URL, SHA, tmp_path)
    place.write_bytes(b"another")
    with pytest.raises(InputError, match="delete it"):
        fetch(URL, sha256=SHA, cache=tmp_path, downloader=server.through)
    assert place.read_bytes() == b"another"
    assert server.asked == []


def test_the_cache_keeps_files_of_one_name_apart(tmp_path: Path) -> None:
    assert cached_file(URL, SHA, tmp_path) != cached_file(URL, "1" * 64, tmp_path)
    for url in ("https://a.org/../../etc/passwd", "https://a.org/x%2F..%2Fy", "https://a.org"):
        assert cached_file(url, SHA, tmp_path).parent == tmp_path


@pytest.mark.parametrize("form", ["file:{}", "file://{}", "file://localhost{}"])
def test_files_of_this_machine(form: str, tmp_path: Path) -> None:
    path = tmp_path / "a run.pt"
    path.write_bytes(CONTENT)
    for sha256 in (None, SHA):
        assert fetch(form.format(path), sha256=sha256, cache=tmp_path / "c") == path
    assert fetch(f"file://{tmp_path}/a%20run.pt", cache=tmp_path) == path
    with pytest.raises(InputError, match=SHA):
        fetch(form.format(path), sha256="0" * 64, cache=tmp_path)
    assert path.read_bytes() == CONTENT
    assert not (tmp_path / "c").exists()


def test_a_relative_path_starts_at_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "run#1.pt").write_bytes(CONTENT)
    assert fetch("file:weights/run#1.pt", sha256=SHA, cache="c").read_bytes() == CONTENT
    with pytest.raises(InputError, match=str(tmp_path)):
        fetch("file:weights/other.pt", cache="c")
    with pytest.raises(InputError, match="a folder"):
        fetch("file:weights", cache="c")


@pytest.mark.parametrize(
    ("source", "sha256", "found"),
    [
        ("http://a.org/x.pt", SHA, "the scheme http:"),
        ("ftp://a.org/x.pt", SHA, "the scheme ftp:"),
        ("weights/x.pt", SHA, "no scheme"),
        ("file:", SHA, "the scheme file:"),
        ("", SHA, "no scheme"),
        ("file://weights/x.pt", SHA, "the host 'weights'"),
        ("https://a.org/x.pt", None, "without a SHA-256"),
        ("https://a.org/x.pt", "abc", "'abc'"),
        ("https://me:secret@a.org/x.pt", SHA, "a user name"),
        ("https://[a.org/x.pt", SHA, "IPv6"),
        ("file:x.pt", "g" * 64, "ggg"),
    ],
)
def test_other_sources_are_refused(source: str, sha256: str | None, found: str) -> None:
    with pytest.raises(InputError, match=found) as caught:
        check_source(source, sha256)
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match=found):
        fetch(source, sha256=sha256, cache="nowhere")
