"""The page behind a proxy, below a path, and with a token from elsewhere; and what its start says and opens."""

import argparse
import asyncio
import logging
import threading
import time
import webbrowser

import pytest
from helpers.painter import Painter
from helpers.serving import noise
from starlette.testclient import TestClient

from colorjax import cli
from colorjax.web import app, lanes, server
from colorjax.web.addresses import Proxies
from colorjax.web.sessions import Limits, Sessions

PICTURE = noise(40, 40)
TOLD = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "scans.example"}


@pytest.fixture
def kept(tmp_path):
    return Sessions(tmp_path / "private", Limits())


def visitor(application, base="http://127.0.0.1:8000", address="127.0.0.1"):
    return TestClient(application, base_url=base, client=(address, 50_000))


def sent(client, path="/api/photographs", **headers):
    return client.post(path, params={"name": "a.png"}, content=PICTURE, headers=headers)


def test_a_known_proxy_is_believed(kept):
    for address in ("127.0.0.1", "10.1.2.3"):
        application = app.make(Painter(), kept, proxies=Proxies("127.0.0.1, 10.0.0.0/8"))
        with visitor(application, address=address) as client:
            cookie = client.get("/api/about", headers=TOLD).headers["set-cookie"]
            assert "; Secure" in cookie and "; Path=/;" in cookie
            client.cookies.set(*cookie.split(";")[0].split("=", 1))
            answer = sent(client, Origin="https://scans.example", **TOLD)
            assert answer.status_code == 201
            assert sent(client, Origin="https://elsewhere.example", **TOLD).status_code == 403
    assert {one.address for one in kept._visitors.values()} == {"203.0.113.7"}


def test_nobody_else_is(kept):
    for proxies, address in ((Proxies("127.0.0.1"), "203.0.113.9"), (None, "127.0.0.1")):
        with visitor(app.make(Painter(), kept, proxies=proxies), address=address) as client:
            assert "Secure" not in client.get("/api/about", headers=TOLD).headers["set-cookie"]
            assert sent(client, Origin="https://scans.example", **TOLD).status_code == 403
            assert sent(client, **TOLD).status_code == 201
    assert {one.address for one in kept._visitors.values()} == {"203.0.113.9", "127.0.0.1"}


def test_a_browser_s_own_word_counts_where_a_proxy_rewrites_the_host(kept):
    with visitor(app.make(Painter(), kept)) as client:
        for site, status in (("same-origin", 201), ("none", 201), ("same-site", 403), ("cross-site", 403)):
            assert sent(client, **{"Origin": "https://scans.example", "Sec-Fetch-Site": site}).status_code == status


@pytest.mark.parametrize("cut", [False, True])
def test_the_page_lies_below_a_path(kept, cut):
    """Whether the proxy leaves the path in what it asks, or takes it away."""
    home = "" if cut else "/tools/colour"
    application = app.make(Painter(), kept, token="correct horse", root="/tools/colour")
    with visitor(application, "https://scans.example") as client:
        answer = client.get(f"{home}/?token=correct+horse")
        assert answer.headers["refresh"] == "0; url=./" and "; Path=/tools/colour;" in answer.headers["set-cookie"]
        client.cookies.clear()
        assert client.get(f"{home}/api/about?token=correct+horse").headers["refresh"] == "0; url=../"
        client.cookies.clear()
        cookies = {"Cookie": answer.headers["set-cookie"].split(";")[0]}
        for path, kind in (("/", "text/html"), ("/app.js", "text/javascript"), ("/api/about", "application/json")):
            assert client.get(home + path, headers=cookies).headers["content-type"].startswith(kind)
        about = client.get(f"{home}/api/about", headers=cookies)
        cookies["Cookie"] += f"; {about.headers['set-cookie'].split(';')[0]}"
        assert sent(client, f"{home}/api/photographs", **cookies).status_code == 201
        for path in ("/tools/colourful", "/tools", "/api/about/"):
            assert client.get(path, headers=cookies, follow_redirects=False).status_code == 404
        if not cut:
            answer = client.get("/tools/colour?token=correct+horse", follow_redirects=False)
            assert answer.status_code == 308 and answer.headers["location"] == "/tools/colour/?token=correct+horse"


def test_whoever_looks_after_it_needs_neither_token_nor_name(kept, monkeypatch):
    application = app.make(Painter(), kept, token="correct horse", hosts=["127.0.0.1"])
    with visitor(application) as client:
        answer = client.get("/healthz", headers={"Host": "10.0.0.1"})
        assert answer.status_code == 200 and answer.json() == {"status": "ok"} and "set-cookie" not in answer.headers
        assert client.get("/api/about").status_code == 401
    monkeypatch.setattr(lanes, "_STUCK", 1.0)
    page, go = app.Page(Painter(), kept), threading.Event()
    with visitor(page.app([])) as client:
        page.studio.slow._seconds = 0.05
        page.studio.slow.submit(lambda task: go.wait(10), "somebody", "for ever")
        time.sleep(0.2)
        assert client.get("/healthz").status_code == 503
        go.set()
        while client.get("/healthz").status_code != 200:
            time.sleep(0.01)


def arguments(*given):
    return cli._parser().parse_args(["serve", *given])


def test_the_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    (file := tmp_path / "token").write_text("from the file\n")
    monkeypatch.setenv("COLORJAX_TOKEN", "from the environment")
    for given, token, hidden in (
        (["--token", "from the line"], "from the line", False),
        (["--token-file", str(file)], "from the file", True),
        ([], "from the environment", True),
    ):
        found, shown = server._token(arguments(*given))
        assert found == token and (token not in shown.replace("%20", " ")) is hidden
    made_up = server._token(arguments("--token"))
    assert made_up[0] == made_up[1] and len(made_up[0]) > 20
    monkeypatch.delenv("COLORJAX_TOKEN")
    assert server._token(arguments()) == (None, "")


def test_what_is_not_safe_or_cannot_be_is_refused_in_words(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("COLORJAX_TOKEN", raising=False)
    (empty := tmp_path / "empty").write_text("")
    (binary := tmp_path / "binary").write_bytes(b"\xff\xfe\x00\xff" * 9)
    for given, words in (
        (["--behind-proxy"], "--behind-proxy 127.0.0.1,::1 lets others in; --token"),
        (["--behind-proxy", "proxy.example", "--token"], "name addresses, as 127.0.0.1"),
        (["--root-path", "colour"], "--root-path colour: it must be as /colour"),
        (["--root-path", "//evil.example"], "--root-path //evil.example"),
        (["--token-file", str(tmp_path / "none")], f"--token-file {tmp_path / 'none'}: No such file"),
        (["--token-file", str(empty)], "at least 8 letters"),
        (["--token-file", str(binary)], "it is no text"),
        (["--token", "from the line", "--token-file", str(empty)], "give one of them"),
    ):
        assert cli.main(["serve", *given]) == 2
        assert words in capsys.readouterr().err
    assert server._root("/tools/colour/") == "/tools/colour" and server._root("/") == server._root("") == ""


def test_the_browser_opens_where_somebody_sits(tmp_path, monkeypatch):
    opened = []

    def asked(link, terminal=True, display=":0"):
        there = threading.active_count()
        monkeypatch.setattr(server.sys, "stdout", argparse.Namespace(isatty=lambda: terminal))
        monkeypatch.setenv("DISPLAY", display)
        server._open_browser(link, tmp_path)
        while threading.active_count() > there:
            time.sleep(0.001)
        return opened.pop() if opened else None

    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(server.sys, "platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    home = "http://127.0.0.1:8000/"
    assert asked(home) == home
    assert asked(home, terminal=False) is None and asked(home, display="") is None
    page = asked(f"{home}?token=correct%20horse")  # what is opened, others can read on the command line
    assert page == (tmp_path / "open.html").as_uri() and "horse" in (tmp_path / "open.html").read_text()


def test_the_log_says_when(kept, monkeypatch, capfd):
    import uvicorn

    monkeypatch.setattr(server.colorize_many, "load", lambda *args: Painter())

    def run(self, sockets):
        logging.getLogger("uvicorn.error").error("an answer was under way", exc_info=asyncio.CancelledError())
        logging.getLogger(app.__name__).error("it broke")

    monkeypatch.setattr(uvicorn.Server, "run", run)
    before = logging.getLogger().handlers[:]
    try:
        assert cli.main(["serve", "--port", "0", "--root-path", "/colour"]) == 0
    finally:
        logging.getLogger().handlers[:] = before
    said, log = capfd.readouterr()
    first, second = said.splitlines()
    assert first.endswith("/colour/") and "photographs take colour" in second and "Ctrl-C ends it" in second
    assert "under way" not in log
    stamp, _, rest = log.splitlines()[-1].partition(" ERROR ")
    assert time.strptime(stamp, "%Y-%m-%d %H:%M:%S%z") and rest == "it broke"
