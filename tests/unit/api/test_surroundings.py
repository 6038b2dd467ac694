"""What the machine presets for a request: certificates, proxies, logins."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted import GOOD, Server, Turns

from intra42.api.auth import MemoryTokens, Token, fetch_token
from intra42.api.client import IntraClient
from intra42.errors import ConfigError, FatalApiError, RetriableApiError
from intra42.run.session import ApiSettings

PATH = "/v2/users"
VARIABLES = (
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSLKEYLOGFILE",
    *(f"{scheme}_PROXY" for scheme in ("HTTP", "HTTPS", "ALL", "NO")),
    *(f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")),
)

Ask = Callable[[str], object]


@pytest.fixture(autouse=True)
def nothing_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def ask(turns: Turns) -> Ask:
    def get(url: str) -> object:
        tokens = MemoryTokens(lambda: Token(value="token", expires_in_s=7200))
        client = IntraClient(url, tokens, turns, timeout_s=2, total_timeout_s=4, sleep=id)
        try:
            return client.get(PATH, {})
        finally:
            client.close()

    return get


def final(ask: Ask, url: str, turns: Turns) -> str:
    """Return the sentence that ends it, after one request."""
    with pytest.raises(FatalApiError) as caught:
        ask(url)
    assert turns.counted == 1
    assert "\n" not in str(caught.value)
    return str(caught.value)


def secure(server: Server, tls: tuple[ssl.SSLContext, Path]) -> str:
    """Return the address of the server, which speaks TLS from now on."""
    server.context = tls[0]
    server.play(GOOD)
    # By a name that is no loopback to us, though it leads there.
    return server.url.replace("http://127.0.0.1", "https://0.0.0.0")


def test_a_certificate_of_an_unknown_issuer_is_told_once(
    server: Server, tls: tuple[ssl.SSLContext, Path], ask: Ask, turns: Turns
) -> None:
    message = final(ask, secure(server, tls), turns)
    assert "the certificate of the server is not trusted (" in message
    assert "REQUESTS_CA_BUNDLE" in message
    assert "host of the connection intra42_api" in message


@pytest.mark.parametrize("content", [None, "no certificate\n"])
@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_file_of_certificates_that_cannot_be_read_is_told_once(
    *,
    server: Server,
    tls: tuple[ssl.SSLContext, Path],
    ask: Ask,
    turns: Turns,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: str | None,
) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv(name, str(bundle))
    message = final(ask, secure(server, tls), turns)
    assert "a file of certificates cannot be read" in message
    assert name in message


def test_a_log_of_keys_that_cannot_be_written_is_told_once(
    server: Server,
    tls: tuple[ssl.SSLContext, Path],
    ask: Ask,
    turns: Turns,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "nowhere" / "keys"))
    assert "SSLKEYLOGFILE" in final(ask, secure(server, tls), turns)


@pytest.mark.parametrize("answer", [407, 403])
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_that_refuses_is_told_once_and_without_its_login(
    server: Server, ask: Ask, turns: Turns, monkeypatch: pytest.MonkeyPatch, name: str, answer: int
) -> None:
    server.play(lambda sock, _request: bool(sock.sendall(f"HTTP/1.1 {answer} No\r\n\r\n".encode())))
    monkeypatch.setenv(name, server.url.replace("http://", "http://someone:hidden@"))
    message = final(ask, "https://intra.example", turns)
    assert f"the proxy refuses us with {answer}" in message
    assert name in message
    assert "hidden" not in message


def test_a_proxy_that_is_away_may_come_back(
    ask: Ask, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with pytest.raises(RetriableApiError, match="HTTPS_PROXY"):
        ask("https://intra.example")
    assert turns.counted == 4


@pytest.mark.parametrize("proxy", ["socks9://127.0.0.1:1", "http://:80", "http://a b:80"])
def test_a_proxy_that_cannot_be_used_is_told_once(
    ask: Ask, turns: Turns, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert "HTTPS_PROXY" in final(ask, "https://intra.example", turns)


def test_a_request_for_a_token_is_as_short(
    server: Server, tls: tuple[ssl.SSLContext, Path]
) -> None:
    url = secure(server, tls)
    pauses: list[float] = []
    with pytest.raises(FatalApiError, match="the certificate of the server is not trusted"):
        fetch_token(None, url, "an-id", "a-secret", "", 2, sleep=pauses.append)
    assert pauses == []


@pytest.mark.parametrize(
    "url",
    [
        "http://api.intra.42.fr",
        "http://10.0.0.1:8080",
        "HTTP://intra.example",
        "http://127.0.0.1@intra.example",
        "http://localhost.intra.example",
        "http://[2001:db8::1]",
        "ftp://intra.example",
    ],
)
def test_a_secret_never_goes_in_clear_text_to_another_machine(url: str) -> None:
    with pytest.raises(ConfigError, match=r"in clear text; write https://"):
        ApiSettings(base_url=url, client_id="an-id", client_secret="a-secret")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.intra.42.fr",
        "http://localhost:4242",
        "http://127.0.0.1:4242",
        "http://127.8.9.10",
        "http://[::1]:4242",
    ],
)
def test_this_machine_and_https_are_fine(url: str) -> None:
    assert ApiSettings(base_url=url, client_id="an-id", client_secret="a-secret").base_url == url
