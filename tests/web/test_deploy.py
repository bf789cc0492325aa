"""The files of `deploy/`, with the programs that they are for, where these are installed."""

import contextlib
import json
import re
import shlex
import shutil
import socket
import subprocess
import time
import tomllib

import httpx2
import pytest
from helpers import ROOT
from helpers.painter import Painter
from helpers.serving import noise, running, visiting

from colorjax import cli
from colorjax.web import app
from colorjax.web.addresses import Proxies
from colorjax.web.sessions import Limits, Sessions

DEPLOY = ROOT / "deploy"
WORDS = "correct-horse-battery"


def needs(*programs):
    missing = [name for name in programs if shutil.which(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def replaced(text, *pairs):
    """The text with each first word of a pair, which must be there, changed into the second."""
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    return text


@contextlib.contextmanager
def started(command, port, **options):
    """A program that listens on a port."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options) as process:
        try:
            end = time.monotonic() + 20
            while time.monotonic() < end and process.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            if process.poll() is not None:
                raise AssertionError(process.stdout.read())
            yield
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture
def colorjax(tmp_path):
    """A server as the files start it: (its port, its Sessions)."""
    kept, proxies = Sessions(tmp_path / "private", Limits()), Proxies("127.0.0.1,::1")
    application = app.make(Painter(), kept, WORDS, None, proxies, "/colour")
    with running(application, proxies) as (port, _):
        yield port, kept


def visit(base, kept, secure):
    """What somebody does with the page, as a browser would; base: https://HOST:PORT"""
    with visiting(f"{base}/colour/", params={"token": WORDS}, follow_redirects=True) as client:
        client.params = {}
        page = client.get("").text
        assert "<title>" in page and all(
            client.get(path).status_code == 200 for path in re.findall(r'(?:href|src)="(\w[^"]*)"', page)
        )
        for query in ("", f"?token={WORDS}"):
            moved = httpx2.get(f"{base}/colour{query}", verify=False)
            assert moved.is_redirect and moved.headers["location"].endswith(f"/colour/{query}")
        assert {(cookie.path, cookie.secure) for cookie in client.cookies.jar} == {("/colour", secure)}
        picture = noise(1300, 1300)
        assert len(picture) > 1_500_000
        answer = client.post("api/photographs?name=a.png", content=picture, headers={"Origin": base})
        assert answer.status_code == 201, answer.text
        id = answer.json()["id"]
        assert client.post(f"api/photographs/{id}/view", json={}, headers={"Origin": base}).content[:2] == b"\xff\xd8"
        client.post(f"api/photographs/{id}/copy", json={}).raise_for_status()
        while client.get("api/progress").json()["copies"][id]["state"] == "waiting":
            time.sleep(0.05)
        assert len(client.get(f"api/photographs/{id}/copy").content) > len(picture)
        foreign = {"Origin": "https://elsewhere.example"}
        assert client.post("api/photographs?name=a.png", content=picture, headers=foreign).status_code == 403
        told = {"X-Forwarded-For": "203.0.113.7"}  # a visitor makes it up
        with visiting(f"{base}/colour/", params={"token": WORDS}, headers=told, follow_redirects=True) as other:
            assert other.post("api/photographs?name=b.png", content=noise(20, 20)).status_code == 201
    assert {one.address for one in kept._visitors.values()} == {"127.0.0.1"}


@contextlib.contextmanager
def nginx(folder, port):
    """nginx with the file of `deploy/`, before the server at this port: its ports without and with TLS."""
    plain, secure = free_port(), free_port()
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-days", "1", "-subj", "/CN=127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run([*request, *files], check=True, capture_output=True)
    site = replaced(
        (DEPLOY / "nginx.conf").read_text(),
        ("    listen [::]:80;\n", ""),
        ("    listen [::]:443 ssl;\n", ""),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{secure} ssl;"),
        ("/etc/ssl/certs/photographs.example.org.pem", str(folder / "cert.pem")),
        ("/etc/ssl/private/photographs.example.org.key", str(folder / "key.pem")),
        ("server_name photographs.example.org", "server_name 127.0.0.1"),
        ("127.0.0.1:8000", f"127.0.0.1:{port}"),
    )
    folders = "".join(f"{name}_temp_path {folder / name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;\n" if folder.owner() == "root" else ""
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n{folders}access_log off;\n{site}}}\n"
    )
    with started(["nginx", "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"], secure):
        yield plain, secure


@needs("nginx", "openssl")
def test_nginx_serves_the_page(tmp_path, colorjax):
    with nginx(tmp_path, colorjax[0]) as (plain, secure):
        visit(f"https://127.0.0.1:{secure}", colorjax[1], True)
        moved = httpx2.get(f"http://127.0.0.1:{plain}/colour/")
        assert moved.status_code == 301 and moved.headers["location"] == "https://127.0.0.1/colour/"


@needs("nginx", "openssl", "chromium")
def test_a_browser_works_below_the_path(tmp_path, colorjax):
    sync_api, wrong = pytest.importorskip("playwright.sync_api"), []
    with nginx(tmp_path, colorjax[0]) as (_, secure), sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = chromium.new_context(ignore_https_errors=True)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text) if "status of 4" not in said.text else None)
        page.goto(f"https://127.0.0.1:{secure}/colour/?token={WORDS}")
        page.wait_for_url(f"https://127.0.0.1:{secure}/colour/")
        for number in (1, 2):
            picture = {"name": f"{number}.png", "mimeType": "image/png", "buffer": noise(60, 80, number)}
            page.set_input_files("#files", [picture])
            page.locator(".tile img").nth(number - 1).wait_for()
            page.wait_for_selector("#after[src]")
            context.clear_cookies(name=re.compile("visitor"))  # as of a server that was started anew: sent again with another
        assert len(colorjax[1]._visitors) == 2 and not wrong
        chromium.close()


@needs("caddy")
def test_caddy_serves_the_page(tmp_path, colorjax):
    port, site = colorjax[0], free_port()
    text = replaced(
        (DEPLOY / "Caddyfile").read_text(),
        ("\nphotographs.example.org", f"\nhttp://127.0.0.1:{site}"),
        ("127.0.0.1:8000", f"127.0.0.1:{port}"),
    )
    (tmp_path / "Caddyfile").write_text("{\n\tadmin off\n}\n" + text)
    command = ["caddy", "run", "--config", tmp_path / "Caddyfile", "--adapter", "caddyfile"]
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PATH": "/usr/bin"}
    with started(command, site, env=home):
        visit(f"http://127.0.0.1:{site}", colorjax[1], False)


@needs("systemd-analyze")
def test_systemd_understands_the_service(tmp_path):
    text = replaced((DEPLOY / "colorjax.service").read_text(), ("/opt/colorjax/bin/colorjax", shutil.which("true")))
    (tmp_path / "colorjax.service").write_text(text)
    found = subprocess.run(["systemd-analyze", "verify", tmp_path / "colorjax.service"], capture_output=True, text=True)
    about_it = [line for line in (found.stdout + found.stderr).splitlines() if "colorjax.service" in line]
    assert not about_it


@needs("hadolint")
def test_hadolint_finds_nothing_in_the_dockerfile():
    found = subprocess.run(["hadolint", DEPLOY / "Dockerfile"], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_what_the_files_start_is_understood():
    """The options of each `colorjax serve` in them are there, and say what they are for."""
    commands = [
        line.split("colorjax serve ", 1)[1]
        for path in DEPLOY.iterdir()
        for line in path.read_text().splitlines()
        if "colorjax serve --" in line
    ]
    parse = cli._parser().parse_args
    assert len(commands) == 3  # nginx, Caddy, systemd
    for command in commands:
        args = parse(["serve", *shlex.split(command)])
        assert args.behind_proxy and args.root_path == "/colour" and args.token_file.name == "token"
    docker = (DEPLOY / "Dockerfile").read_text()
    start = json.loads(re.search(r"^ENTRYPOINT (.*)$", docker, re.MULTILINE)[1])
    more = re.search(r"^#  +(--behind-proxy .*)$", docker, re.MULTILINE)[1]
    args = parse([*start[1:], *shlex.split(more)])
    assert args.host == "0.0.0.0" and args.no_browser and args.token_file.name == "colorjax_token"
    assert Proxies(args.behind_proxy)


def test_what_the_image_is_built_from_is_all_there():
    """Its extras and its Python are those of pyproject.toml, and its context has what a wheel is made of."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    docker = (DEPLOY / "Dockerfile").read_text()
    for text in (docker, (DEPLOY / "colorjax.service").read_text()):
        (extras,) = re.findall(r"\.\[([\w,]+)\]", text)
        assert "web" in extras.split(",") and project["optional-dependencies"].keys() >= set(extras.split(","))
    versions = re.findall(r"^FROM python:3\.(\d+)-slim", docker, re.MULTILINE)
    assert len(set(versions)) == 1 and f"Python :: 3.{versions[0]}" in " ".join(project["classifiers"])
    rules = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    needed = [project["readme"], "pyproject.toml", "colorjax", *project["license-files"]]
    assert rules[0] == "*" and all(name.split("/")[0] in allowed and (ROOT / name).exists() for name in needed)
    assert re.search(r"^USER 1000$", docker, re.MULTILINE) and "/healthz" in docker
