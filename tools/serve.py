"""Serves the built book on http://127.0.0.1:$PORT (8000); `--check` only says whether that port is free."""

from __future__ import annotations

import errno
import functools
import http.server
import mimetypes
import os
import sys
from pathlib import Path

SITE = Path(__file__).resolve().parents[1] / "_build" / "html"


mimetypes.add_type("font/woff2", ".woff2")


class Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # a rebuilt page shows at the next reload
        super().end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if str(code) >= "400":
            super().log_request(code, size)


def port() -> int:
    given = os.environ.get("PORT") or "8000"
    if not given.isdigit() or not 0 < int(given) < 65536:
        sys.exit(f"PORT must be a number from 1 to 65535: got {given!r}; try `make book PORT=8001`")
    return int(given)


def server(number: int) -> http.server.ThreadingHTTPServer:
    handler = functools.partial(Handler, directory=str(SITE))
    try:
        return http.server.ThreadingHTTPServer(("127.0.0.1", number), handler)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = "is in use by another program, perhaps by an earlier `make book`"
        elif error.errno == errno.EACCES:
            why = "may not be opened by this user"
        else:
            raise
        other = number + 1 if number < 65535 else 8000
        sys.exit(f"Port {number} {why}: stop that, or take another: `make book PORT={max(other, 8000)}`")


def main() -> None:
    book = server(port())
    if "--check" in sys.argv[1:]:
        book.server_close()
        return
    if not (SITE / "index.html").is_file():
        sys.exit("There is no book to serve yet: `make book` builds and serves it")
    print(f"The book is at http://127.0.0.1:{book.server_port}  (Ctrl-C stops it)", flush=True)
    try:
        book.serve_forever()
    except KeyboardInterrupt:
        print("\nStopped.")
    finally:
        book.server_close()


if __name__ == "__main__":
    main()
