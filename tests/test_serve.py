"""`make book`'s server says what to do when its port cannot be had."""

import socket

import pytest

from tools import serve


def test_a_taken_port_is_named_with_another_that_would_do():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=f"Port {number} is in use.*make book PORT=") as stop:
            serve.server(number)
    assert f"PORT={number}`" not in str(stop.value)


@pytest.mark.parametrize("given", ["abc", "0", "65536", "-1", "80.5"])
def test_a_port_that_is_none_is_refused(given: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PORT", given)
    with pytest.raises(SystemExit, match="PORT must be a number from 1 to 65535"):
        serve.port()


@pytest.mark.parametrize(("given", "used"), [("", 8000), ("8123", 8123)])
def test_the_port_is_8000_unless_named(given: str, used: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PORT", given)
    assert serve.port() == used
