"""The archive is fetched whole or not at all, whatever servers send; every server here is our own, on this machine."""

import contextlib
import gzip
import hashlib
import http.server
import io
import os
import re
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from gnlib.cifar import archive as module
from gnlib.cifar.archive import Archive, DataError, complete, fetch

FOLDER = "cifar-10-batches-bin"
FILES = {
    f"{FOLDER}/one.bin": os.urandom(200_000),
    f"{FOLDER}/two.bin": os.urandom(300_000),
}  # noise: gzip keeps its size
WANTED = {"one.bin": 200_000, "two.bin": 300_000}


def regular(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def pack(files: dict[str, bytes], *others: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in files.items():
            tar.addfile(regular(name, len(data)), io.BytesIO(data))
        for member, data in others:
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def expecting(data: bytes) -> Archive:
    """Describe these bytes as the archive that is wanted: what refuses them then comes after the checksum."""
    return Archive("some.tar.gz", len(data), hashlib.sha256(data).hexdigest(), FOLDER, WANTED)


GOOD = pack({f"{FOLDER}/readme.html": b"<p>Hello", **FILES})
ARCHIVE = expecting(GOOD)


# ------------------------------------------------------------------------------------------------------------- server

Request = http.server.BaseHTTPRequestHandler


@dataclass
class Server:
    """Answers each path as its behaviour says, and remembers who asked for what."""

    address: str = ""
    behaviours: dict[str, Callable[[Request], None]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path, Range
    over: threading.Event = field(default_factory=threading.Event)

    def serve(self, name: str, behaviour: Callable[[Request], None]) -> str:
        self.behaviours[f"/{name}"] = behaviour
        return f"{self.address}/{name}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(module, "SLOWEST", 0)  # bytes per second; one test sets it
    answers = Server()

    class Handler(Request):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # noqa: N802
            answers.asked.append((self.path, self.headers.get("Range")))
            self.close_connection = True
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the other side may have had enough
                answers.behaviours[self.path](self)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        answers.address = f"http://127.0.0.1:{http_server.server_port}"
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield answers
        answers.over.set()
        http_server.shutdown()
        thread.join()


def sends(
    data: bytes = GOOD,
    *,
    ranges: bool = True,
    cut: int | None = None,  # bytes after which the connection ends
    announce: int | None = None,
    kind: str = "application/gzip",
    then: Callable[[Request], None] = lambda request: None,
) -> Callable[[Request], None]:
    def behaviour(request: Request) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range") or "")
        start = int(asked[1]) if asked and ranges else 0
        if start >= len(data) > 0:
            return status(416)(request)
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        request.send_header("Content-Type", kind)
        if announce != -1:
            request.send_header("Content-Length", str(announce or len(data) - start))
        request.end_headers()
        request.wfile.write(data[start:][:cut])
        request.wfile.flush()
        then(request)

    return behaviour


def status(code: int, **headers: str) -> Callable[[Request], None]:
    def behaviour(request: Request) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return behaviour


def get(folder: Path, *sources: str, archive: Archive = ARCHIVE, stall: float = 5.0, limit: float = 30.0) -> Path:
    return fetch(folder, archive=archive, sources=sources, stall=stall, limit=limit, quiet=True)


def holds(folder: Path) -> bool:
    """Tell whether the folder has the right bytes and nothing else, and nothing unfinished lies beside it."""
    files = {f"{FOLDER}/{path.name}": path.read_bytes() for path in folder.iterdir()}
    beside = {path.name for path in folder.parent.iterdir() if not path.name.endswith(".refused")}
    return files == FILES and beside == {folder.name, f".{ARCHIVE.name}.lock"}


def refused(folder: Path, *sources: str, **keywords: object) -> str:
    with pytest.raises(DataError) as caught:
        get(folder, *sources, **keywords)
    assert not folder.exists()
    assert {path.name for path in folder.parent.iterdir()} <= {
        f".{ARCHIVE.name}.lock",
        f"{ARCHIVE.name}.refused",
        f"{ARCHIVE.name}.part",
    }
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / FOLDER


# ---------------------------------------------------------------------------------------------------------- it arrives


def test_the_wanted_files_arrive_and_nothing_else(server, folder):
    assert get(folder, server.serve("a", sends())) == folder
    assert holds(folder)


def test_a_complete_folder_is_not_fetched_again_and_nothing_is_written(server, folder):
    source = server.serve("a", sends())
    get(folder, source)
    (folder.parent / f".{ARCHIVE.name}.lock").unlink()
    get(folder, source)
    assert len(server.asked) == 1
    assert list(folder.parent.iterdir()) == [folder]  # so it may lie on a disk that cannot be written


def test_a_folder_that_lost_a_file_is_set_aside_and_filled_anew(server, folder):
    source = server.serve("a", sends())
    get(folder, source)
    (folder / "one.bin").unlink()
    get(folder, source)
    assert holds(folder)
    assert [path.name for path in folder.with_name(FOLDER + ".refused").iterdir()] == ["two.bin"]


def test_an_archive_put_beside_the_folder_by_hand_is_used_and_kept(server, folder):
    folder.parent.mkdir()
    (folder.parent / ARCHIVE.name).write_bytes(GOOD)
    get(folder)
    assert complete(folder, ARCHIVE)
    assert (folder.parent / ARCHIVE.name).read_bytes() == GOOD


def test_a_wrong_archive_put_beside_the_folder_is_set_aside_and_another_fetched(server, folder):
    folder.parent.mkdir()
    (folder.parent / ARCHIVE.name).write_bytes(GOOD[:-1])
    get(folder, server.serve("a", sends()))
    assert holds(folder)
    assert (folder.parent / f"{ARCHIVE.name}.refused").read_bytes() == GOOD[:-1]


def test_the_error_says_what_is_wrong_with_an_archive_put_there_by_hand(folder):
    folder.parent.mkdir()
    (folder.parent / ARCHIVE.name).write_bytes(GOOD[:-1])
    assert f"{ARCHIVE.name}: has {len(GOOD) - 1:,} bytes where {len(GOOD):,} are expected; now" in refused(folder)


def test_the_next_source_is_asked_after_a_404(server, folder):
    get(folder, server.serve("gone", status(404)), server.serve("a", sends()))
    assert holds(folder)
    assert server.asked == [("/gone", None), ("/a", None)]


def test_a_redirect_is_followed(server, folder):
    moved = server.serve("moved", status(302, Location=server.serve("a", sends())))
    get(folder, moved)
    assert holds(folder)


def test_two_processes_fetch_once(server, folder):
    source = server.serve("a", sends(cut=1000, then=lambda request: (time.sleep(1), request.wfile.write(GOOD[1000:]))))
    code = (
        "import sys, tests.test_archive as t; from pathlib import Path; a = t.Archive(*eval(sys.argv[3]))\n"
        "t.fetch(Path(sys.argv[1]), archive=a, sources=[sys.argv[2]], limit=60)"
    )
    shape = repr((ARCHIVE.name, ARCHIVE.size, ARCHIVE.sha256, FOLDER, dict(WANTED)))
    command = [sys.executable, "-c", code, str(folder), source, shape]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert len(server.asked) == 1
    assert holds(folder)


# -------------------------------------------------------------------------------------------------- it is interrupted


@pytest.mark.parametrize("cut", [1, 2, 70_000, -1])
def test_what_came_before_an_interruption_is_continued(server, folder, cut):
    folder.parent.mkdir()
    came = GOOD[:cut]
    (folder.parent / f"{ARCHIVE.name}.part").write_bytes(came)
    get(folder, server.serve("a", sends()))
    assert server.asked == [("/a", f"bytes={len(came)}-")]
    assert holds(folder)


def test_a_source_that_breaks_off_is_asked_for_the_rest(server, folder):
    get(folder, server.serve("a", sends(cut=200_000)))
    assert server.asked == [("/a", None), ("/a", "bytes=200000-"), ("/a", "bytes=400000-")]
    assert holds(folder)


def test_another_source_continues_what_one_began(server, folder):
    def first_half(request: Request) -> None:
        (sends(cut=300_000) if len(server.asked) == 1 else status(503))(request)

    get(folder, server.serve("half", first_half), server.serve("a", sends()))
    assert server.asked == [("/half", None), ("/half", "bytes=300000-"), ("/a", "bytes=300000-")]
    assert holds(folder)


def test_a_server_that_knows_no_ranges_starts_over(server, folder):
    folder.parent.mkdir()
    (folder.parent / f"{ARCHIVE.name}.part").write_bytes(GOOD[:123_456])
    get(folder, server.serve("a", sends(ranges=False)))
    assert server.asked == [("/a", "bytes=123456-")]
    assert holds(folder)


def test_a_server_that_refuses_the_range_is_asked_for_all(server, folder):
    folder.parent.mkdir()
    (folder.parent / f"{ARCHIVE.name}.part").write_bytes(GOOD[:123_456])

    def fussy(request: Request) -> None:
        (status(416) if request.headers.get("Range") else sends())(request)

    get(folder, server.serve("a", fussy))
    assert [asked for _, asked in server.asked] == ["bytes=123456-", None]
    assert holds(folder)


def test_a_server_that_sends_another_range_is_not_believed(server, folder):
    folder.parent.mkdir()
    (folder.parent / f"{ARCHIVE.name}.part").write_bytes(GOOD[:1000])

    def other(request: Request) -> None:
        request.headers.replace_header("Range", "bytes=500-")
        sends()(request)

    assert "asked for the bytes from 1,000 on and sent 500-" in refused(folder, server.serve("a", other))
    assert (folder.parent / f"{ARCHIVE.name}.part").read_bytes() == GOOD[:1000]


def test_a_part_that_a_wrong_source_began_does_not_spoil_a_right_one(server, folder):
    folder.parent.mkdir()
    (folder.parent / f"{ARCHIVE.name}.part").write_bytes(b"\x1f\x8b" + bytes(5000))
    get(folder, server.serve("a", sends()))
    assert [asked for _, asked in server.asked] == ["bytes=5002-", None]
    assert holds(folder)


def test_a_part_that_was_whole_when_the_process_died_is_used(server, folder):
    folder.parent.mkdir()
    (folder.parent / f"{ARCHIVE.name}.part").write_bytes(GOOD)
    get(folder, server.serve("a", sends()))
    assert server.asked == []
    assert holds(folder)


def test_a_server_that_falls_silent_is_left(server, folder):
    silent = server.serve("silent", sends(cut=0, then=lambda request: server.over.wait(20)))
    started = time.monotonic()
    get(folder, silent, server.serve("a", sends()), stall=0.3)
    assert time.monotonic() - started < 10
    assert holds(folder)


def test_a_server_that_trickles_is_left(server, folder, monkeypatch):
    monkeypatch.setattr(module, "SLOWEST", 5_000)
    started = time.monotonic()
    message = refused(folder, server.serve("a", sends(cut=10, then=trickle(server))), stall=0.4, limit=3)
    assert "stalled: " in message
    assert time.monotonic() - started < 10


def trickle(server: Server) -> Callable[[Request], None]:
    def behaviour(request: Request) -> None:
        for byte in range(10, 10_000):
            request.wfile.write(GOOD[byte : byte + 1])
            if server.over.wait(0.02):
                break

    return behaviour


def drips(server: Server, head: bytes, drop: bytes) -> Callable[[Request], None]:
    """Send the beginning of an answer, then a drop ten times a second: no receive is ever silent."""

    def behaviour(request: Request) -> None:
        request.wfile.write(head)
        while not server.over.wait(0.1):
            request.wfile.write(drop)

    return behaviour


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\x1f\x8b\r\n", b"0"),
    ],
    ids=["headers", "the first chunk's size", "the next chunk's size"],
)
def test_a_server_that_drips_is_left_for_the_next(server, folder, head, drop):
    begun = time.monotonic()
    message = refused(folder, server.serve("drips", drips(server, head, drop)), stall=0.3, limit=4)
    assert "/drips: trickled: nothing whole came in 0.6 s" in message
    assert time.monotonic() - begun < 3
    get(folder, server.serve("a", sends()))
    assert not [
        thread
        for thread in threading.enumerate()
        if isinstance(thread, threading.Timer) and not thread.finished.is_set()
    ]


def test_a_slow_server_that_moves_may_go_on_until_the_limit_and_the_next_run_after_it(server, folder):
    slow = server.serve("slow", sends(cut=10, then=trickle(server)))
    message = refused(folder, slow, server.serve("never", sends()), stall=0.1, limit=0.5)
    assert "too slow" in message
    assert "the next run goes on from there" in message
    assert {path for path, _ in server.asked} == {"/slow"}
    get(folder, server.serve("a", sends()))
    assert server.asked[-1][1] is not None
    assert holds(folder)


# ------------------------------------------------------------------------------------------------------ it is attacked


def flip(data: bytes) -> bytes:
    return data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]


@pytest.mark.parametrize("announced", [True, False])
def test_a_web_page_with_status_200_is_not_taken_for_the_archive(server, folder, announced):
    page = b"<!DOCTYPE html><title>Sign in to this network</title>"
    source = server.serve("a", sends(page, kind="text/html", announce=None if announced else -1))
    message = refused(folder, source)
    assert ("bytes of text/html" if announced else "begins b'<!DOCTYPE html>") in message
    assert not (folder.parent / f"{ARCHIVE.name}.part").exists()


def test_a_flipped_bit_is_refused_named_and_set_aside(server, folder):
    message = refused(folder, server.serve("a", sends(flip(GOOD))))
    assert f"/a: has sha256 {hashlib.sha256(flip(GOOD)).hexdigest()} where {ARCHIVE.sha256} is expected" in message
    assert "now called some.tar.gz.refused" in message
    assert (folder.parent / "some.tar.gz.refused").read_bytes() == flip(GOOD)


def test_the_next_source_is_asked_after_a_wrong_file(server, folder):
    get(folder, server.serve("wrong", sends(flip(GOOD))), server.serve("a", sends()))
    assert server.asked == [("/wrong", None), ("/a", None)]
    assert holds(folder)


def test_a_truncated_archive_is_refused(server, folder):
    short = GOOD[:400_000]
    assert f"offers 400,000 bytes of application/gzip where {len(GOOD):,} bytes" in refused(
        folder, server.serve("a", sends(short))
    )
    assert f"ended after 400,000 of {len(GOOD):,} bytes" in refused(
        folder, server.serve("b", sends(short, announce=-1, ranges=False))
    )


def test_never_more_than_the_known_size_is_written(server, folder):
    def endless(request: Request) -> None:
        while not server.over.is_set():
            request.wfile.write(bytes(65536))

    message = refused(folder, server.serve("a", sends(GOOD, announce=-1, then=endless)))
    assert f"is longer than {len(GOOD):,} bytes" in message
    assert (folder.parent / "some.tar.gz.refused").stat().st_size <= len(GOOD)


def test_a_source_must_be_http(folder, tmp_path):
    (tmp_path / "local").write_bytes(GOOD)
    address = (tmp_path / "local").as_uri()
    assert f"only http and https are followed: got {address}" in refused(folder, address)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("ftp://127.0.0.1/a", "only http and https are followed"),
        ("file:///etc/passwd", "is not allowed"),  # urllib's own words
        ("data:text/plain,a", "is not allowed"),
    ],
)
def test_a_redirect_must_lead_to_http(server, folder, target, reason):
    assert reason in refused(folder, server.serve("a", status(302, Location=target)))


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def sparse() -> tuple[tarfile.TarInfo, bytes]:
    # a member of two terabytes in no bytes at all, in GNU's format for files with holes
    member = tarfile.TarInfo(f"{FOLDER}/holes")
    member.pax_headers = {"GNU.sparse.size": str(2 << 40), "GNU.sparse.map": "0,0"}
    return member, b""


HOSTILE = {
    "a link in place of a file": (
        pack(
            {f"{FOLDER}/one.bin": FILES[f"{FOLDER}/one.bin"]},
            special(f"{FOLDER}/two.bin", tarfile.SYMTYPE, "/etc/passwd"),
        ),
        "has a member 'cifar-10-batches-bin/two.bin' that is neither a file nor a folder",
    ),
    "a hard link": (
        pack(FILES, special("other", tarfile.LNKTYPE, f"{FOLDER}/one.bin")),
        "has a member 'other' that is neither",
    ),
    "a device": (pack(FILES, special("null", tarfile.CHRTYPE)), "has a member 'null' that is neither"),
    "an absolute path": (pack({**FILES, "/tmp/evil": b"evil"}), "has a member outside its folder, '/tmp/evil'"),
    "a path upwards": (pack({**FILES, f"{FOLDER}/../../evil": b"evil"}), "has a member outside its folder"),
    "a member too large": (
        pack({**FILES, f"{FOLDER}/two.bin": bytes(300_001)}),
        "two.bin' of 300,001 bytes where 300,000 are expected",
    ),
    "a file with holes": (pack(FILES, sparse()), "has a member 'cifar-10-batches-bin/holes' that is neither"),
    "a missing member": (pack({f"{FOLDER}/one.bin": FILES[f"{FOLDER}/one.bin"]}), "lacks cifar-10-batches-bin/two.bin"),
    "the right files in another folder": (
        pack({"one.bin": FILES[f"{FOLDER}/one.bin"], "two.bin": FILES[f"{FOLDER}/two.bin"]}),
        "lacks cifar-10-batches-bin/one.bin, cifar-10-batches-bin/two.bin",
    ),
    "a tar cut short": (gzip.compress(gzip.decompress(GOOD)[:400_000]), "cannot be unpacked"),
    "a gzip cut short": (GOOD[:400_000], "cannot be unpacked"),
    "a gzip that is no tar": (gzip.compress(b"not a tar" * 1000), "cannot be unpacked"),
    "a bomb": (pack({**FILES, "zeros": bytes(50_000_000)}), "unpacks to more than 1,548,576 bytes"),
    "a bomb in a header": (
        gzip.compress(tarfile.TarInfo("a" * 3_000_000).tobuf(format=tarfile.GNU_FORMAT)),
        "unpacks to more than 1,548,576 bytes",
    ),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_archive_is_refused_even_when_its_checksum_is_right(server, folder, attack):
    data, reason = HOSTILE[attack]
    message = refused(folder, server.serve("a", sends(data)), archive=expecting(data))
    assert reason in message
    assert "now called some.tar.gz.refused" in message
    assert (folder.parent / "some.tar.gz.refused").read_bytes() == data


# ------------------------------------------------------------------------------------------------- nothing can be done


def test_without_a_network_one_error_says_which_file_to_put_where(folder):
    address = "http://127.0.0.1:9/some.tar.gz"  # nobody listens there
    message = refused(folder, address)
    assert message.startswith(f"No source gave some.tar.gz ({len(GOOD):,} bytes, sha256 {ARCHIVE.sha256}):")
    assert f"{address}: " in message
    assert "refused" in message
    assert (
        f"Put some.tar.gz ({len(GOOD):,} bytes, sha256 {ARCHIVE.sha256}) into {folder.parent} and run again" in message
    )
    assert "--data FOLDER or GNLIB_DATA=FOLDER" in message
    assert "--data digits needs no download" in message


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(DataError, match=r"cannot be stored in .*cache.* set XDG_CACHE_HOME to a folder"):
        get(tmp_path / "cache" / FOLDER)


def test_a_disk_without_room_is_told_before_anything_is_fetched(server, folder, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=900_000))
    with pytest.raises(DataError, match="it needs 1 MB, and 1 MB are free"):
        get(folder, server.serve("a", sends()))
    assert server.asked == []


def test_a_disk_that_fills_up_keeps_what_has_come(server, folder, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        get(folder, server.serve("a", sends()))
    assert not folder.exists()
    assert (folder.parent / f"{ARCHIVE.name}.part").read_bytes() == GOOD


def test_waiting_for_another_process_ends(folder):
    folder.parent.mkdir()
    with (folder.parent / f".{ARCHIVE.name}.lock").open("ab") as file:
        assert module._lock(file)
        with pytest.raises(DataError, match="Another process has held"):
            get(folder, limit=0.3)


def test_what_a_killed_process_left_is_removed_when_it_is_old(server, folder):
    left = folder.parent / f".{FOLDER}-dead"
    left.mkdir(parents=True)
    (left / "one.bin").write_bytes(b"half")
    os.utime(left, (0, 0))
    young = folder.parent / f".{FOLDER}-alive"
    young.mkdir()
    get(folder, server.serve("a", sends()))
    assert not left.exists()
    assert young.exists()


def test_the_sources_serve_the_official_file_by_name():
    assert len(module.SOURCES) >= 2
    assert all(
        source.startswith("https://") and source.endswith(f"/{module.CIFAR10.name}") for source in module.SOURCES
    )
    assert sum(module.CIFAR10.members.values()) == 60_000 * 3_073
