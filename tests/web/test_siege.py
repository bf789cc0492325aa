"""Those who would close the page to others: what they are given, and what it costs the others."""

import asyncio
import contextlib
import http.client
import itertools
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.painter import Painter
from helpers.serving import noise, running, visiting
from starlette.testclient import TestClient

from colorjax.web import addresses, app, connections, security, sessions
from colorjax.web.addresses import Credit, Proxies, of_one
from colorjax.web.sessions import Limits, Refused, Sessions

TINY = noise(1, 1)
ATTACKER, OTHER = "127.0.0.2", "127.0.0.3"


def narrow():
    """A socket to listen on whose connections hold little that has not been taken."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    return listening


@pytest.fixture
def impatient(monkeypatch):
    """Seconds are tenths here, and places few."""
    for name, value in {"_CROWDED": 60, "CONNECTIONS": 120, "_HURRY": 0.1, "_TICK": 0.05, "SILENCE": 3.0}.items():
        monkeypatch.setattr(connections, name, value)
    monkeypatch.setattr(sessions, "_OF_ONE", 30)
    monkeypatch.setattr(sessions, "_VISITORS", 60)


@pytest.fixture
def there(impatient, tmp_path):
    """A server: (its address, its uvicorn.Server, its Sessions)."""
    kept = Sessions(tmp_path / "private", Limits())
    application = app.make(Painter(), kept, None, ["127.0.0.1"])
    with running(application, listening=narrow(), limit_concurrency=connections.CONNECTIONS) as (port, server):
        yield f"http://127.0.0.1:{port}", server, kept


def uploaded(client, data, name="it.png"):
    answer = client.post("/api/photographs", params={"name": name}, content=data)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def copied(client, id):
    client.post(f"/api/photographs/{id}/copy", json={}).raise_for_status()
    while (about := client.get("/api/progress").json()["copies"][id])["state"] == "waiting":
        time.sleep(0.05)
    assert about["state"] == "ready", about
    return f"/api/photographs/{id}/copy"


def deaf(port, path, cookie):
    """A connection that asks and does not read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.bind((ATTACKER, 0))
    connection.connect(("127.0.0.1", port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
    return connection


def cookie_of(client):
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


def test_an_answer_must_be_taken(there, monkeypatch):
    """Who takes nothing of it, or too little, is given up; who is quick enough gets all."""
    base, server, _ = there
    port = int(base.rpartition(":")[2])
    monkeypatch.setattr(connections, "SILENCE", 0.8)
    monkeypatch.setattr(connections, "SLOWEST", 200_000)
    with visiting(base, ATTACKER) as client:
        path = copied(client, uploaded(client, noise(700, 700)))
        size, cookie = len(client.get(path).content), cookie_of(client)
    while server.server_state.connections:
        time.sleep(0.01)

    def taken(at_once, pause):
        """Bytes that come until the other side has had enough, or there are no more."""
        with contextlib.closing(deaf(port, path, cookie)) as connection:
            connection.settimeout(60)
            while not server.server_state.connections:
                time.sleep(0.01)
            got, end = 0, time.monotonic() + 60
            while server.server_state.connections or at_once > 10_000:
                assert time.monotonic() < end, "it is still there"
                time.sleep(pause)
                if at_once:
                    try:
                        data = connection.recv(at_once)
                    except ConnectionError:
                        break
                    got += len(data)
                    if not data or got >= size:
                        break
            return got

    assert size > 1_000_000 and taken(0, 0.02) == 0
    assert taken(1000, 0.02) < 200_000
    assert taken(100_000, 0.0) >= size


def test_who_is_waited_for_makes_room(there):
    """More who read nothing than there are places: others are answered at once."""
    base, _, _ = there
    port = int(base.rpartition(":")[2])
    with visiting(base, ATTACKER) as client:
        path, cookie = copied(client, uploaded(client, noise(900, 900))), cookie_of(client)
    with contextlib.ExitStack() as stack, visiting(base, OTHER) as other:
        for _ in range(80):
            stack.enter_context(contextlib.closing(deaf(port, path, cookie)))
        time.sleep(0.3)
        for _ in range(40):  # each on a connection of its own
            with visiting(base, OTHER) as another:
                assert another.get("/api/about").status_code == 200
        uploaded(other, noise(60, 60))


def test_a_place_needs_a_kept_cookie(there):
    base, _, kept = there
    with visiting(base) as client:
        client.cookies.clear()
        answer = client.post("/api/photographs", params={"name": "a b&c.png"}, content=TINY)
        assert answer.status_code == 307 and answer.headers["location"] == "?name=a+b%26c.png&again=1"
        client.cookies.clear()
        answer = client.post(f"/api/photographs{answer.headers['location']}", content=TINY)
        assert answer.status_code == 403 and "needs cookies" in answer.json()["error"]
        forged = {"Cookie": f"colorjax-visitor-{base.rpartition(':')[2]}=abc.{'0' * 64}"}
        assert client.post("/api/photographs?name=a.png", content=TINY, headers=forged).status_code == 307
        assert not kept._visitors
        answer = client.post("/api/photographs?name=a%20b.png", content=TINY, follow_redirects=True)
        assert answer.status_code == 201 and answer.json()["name"] == "a b.png" and len(kept._visitors) == 1


def test_who_is_refused_while_sending_hears_why(there):
    """Also on a connection that is closed then, as a proxy's: closing at once would take the answer away."""
    with socket.create_connection(("127.0.0.1", int(there[0].rpartition(":")[2])), 5) as connection:
        head = "POST /api/photographs?name=a.png HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        connection.sendall(f"{head}Content-Length: 9000000\r\n\r\n".encode() + bytes(100_000))
        time.sleep(0.1)
        for _ in range(40):
            connection.sendall(bytes(200_000))
        assert connection.recv(100).startswith(b"HTTP/1.1 307")
        while connection.recv(1000):
            pass
        connection.sendall(bytes(900_000))
    end = time.monotonic() + 60
    while there[1].server_state.connections:
        assert time.monotonic() < end
        time.sleep(0.01)


def brought(kept, name, address, size):
    """A visitor with a photograph of so many bytes."""
    visitor, gone = kept.admit(name, address)
    for photograph in gone:
        kept.remove(photograph)
    photograph = kept.begin(visitor, "a.png")
    kept.grow(photograph, size)
    photograph.width = photograph.height = 1
    return visitor


def test_those_with_next_to_nothing_go_first(tmp_path, impatient):
    kept = Sessions(tmp_path, Limits())
    honest = [brought(kept, f"honest {n}", "10.0.0.1", 2_000_000) for n in range(20)]
    small = brought(kept, "small", "10.0.0.3", 1000)
    for address in ("10.0.0.1", "10.0.0.2"):  # next to the honest ones, and from elsewhere
        for n in range(50):
            brought(kept, f"{address} {n}", address, 1000)
        assert sum(one.address == address for one in kept._visitors.values()) == 30
    assert len(kept._visitors) == 60 and kept.find(small.id)  # who is alone there
    assert all(kept.find(one.id) is one and one.photographs for one in honest)
    newcomer = brought(kept, "newcomer", "10.0.0.4", 2_000_000)
    assert kept.find(newcomer.id) and len(list(tmp_path.iterdir())) == 60
    coming, _ = kept.admit("coming", "10.0.0.5")
    kept.begin(coming, "a.png")  # its bytes are not there yet
    for n in range(40):
        brought(kept, f"more {n}", "10.0.0.6", 1000)
    assert kept.find(coming.id)


def test_places_that_are_used_are_not_taken_away(tmp_path, impatient):
    kept = Sessions(tmp_path, Limits())
    for n in range(30):
        brought(kept, f"{n}", "10.0.0.1", 2_000_000)
    with pytest.raises(Refused, match="too many people"):
        kept.admit("another", "10.0.0.1")
    assert kept.admit("29", "10.0.0.1")[0].photographs and kept.admit("elsewhere", "10.0.0.2")


def test_one_address_has_half_of_the_room(tmp_path):
    kept = Sessions(tmp_path, Limits(total=1000))
    brought(kept, "a", "10.0.0.1", 300)
    with pytest.raises(Refused, match="from your network"):
        brought(kept, "b", "10.0.0.1", 300)
    brought(kept, "c", "10.0.0.2", 400)
    brought(kept, "d", "127.0.0.1", 250)


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("unknown", "unknown"),
        (None, ""),
    ],
)
def test_what_counts_as_one_address(host, counted):
    assert of_one(host) == counted


@pytest.fixture
def strict(monkeypatch):
    """Credit of 20 requests, which hardly comes back, and refusals that come soon."""
    for name, value in {"_CREDIT": 20.0, "_BACK": 0.01, "_WAIT": 0.05}.items():
        monkeypatch.setattr(addresses, name, value)


def test_credit_is_used_up_and_comes_back(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(addresses.time, "monotonic", lambda: now[0])
    credit = Credit()
    credit.spend("a", addresses._CREDIT)
    assert credit.wait("a") == credit.wait("b") == 0.0
    credit.spend("a")
    assert 1.0 < credit.wait("a") < 1.01 and credit.wait("b") == 0.0
    waits = [credit.spend("a", 400) or credit.wait("a") for _ in range(9)]
    assert waits[:3] == sorted(set(waits[:3])) and waits[-1] == 16.0
    now[0] = 60.0
    assert credit.wait("a") == 0.0
    for number in range(addresses._MANY + 1):  # nobody fills the memory with names
        credit.spend(f"{number}")
    now[0] = 61.0
    credit.spend("another")
    for number in range(addresses._MANY):
        credit.spend(f"again {number}")
    assert len(credit._spent) < 1.1 * addresses._MANY + 2


def sent(port, address, cookie=""):
    """What comes back for an upload of one pixel, and the seconds that it takes."""
    start, head = time.monotonic(), f"POST /api/photographs?name=a.png HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n"
    with socket.create_connection(("127.0.0.1", port), 5, (address, 0)) as connection:
        connection.sendall(f"{head}Connection: close\r\nContent-Length: {len(TINY)}\r\n\r\n".encode() + TINY)
        answer = connection.makefile("rb").read()
    return answer, time.monotonic() - start


def test_who_asks_too_much_is_refused_before_anything_is_read(strict, there):
    """And the later the more often: not who keeps a cookie at the same address, nor anybody at another or at this machine."""
    base, server, _ = there
    port = int(base.rpartition(":")[2])
    with visiting(base, ATTACKER) as neighbour:
        uploaded(neighbour, TINY)
        for _ in range(19):
            assert sent(port, ATTACKER)[0].startswith(b"HTTP/1.1 307")
        sent(port, ATTACKER)
        before = server.server_state.total_requests
        refusals = [sent(port, ATTACKER) for _ in range(8)]
        assert server.server_state.total_requests == before
        assert all(b" 429 " in answer and b"Retry-After" in answer for answer, _ in refusals)
        assert 0.05 < refusals[0][1] < refusals[-1][1]
        assert b" 429 " in sent(port, ATTACKER, f"colorjax-visitor-{port}=made-up.{'0' * 64}")[0]
        uploaded(neighbour, noise(50, 50))
        assert b" 201 " in sent(port, ATTACKER, cookie_of(neighbour))[0]  # on a connection of its own
    for address, times in ((OTHER, 3), ("127.0.0.1", 30)):
        for _ in range(times):
            assert sent(port, address)[0].startswith(b"HTTP/1.1 307")


def test_answers_that_are_not_taken_use_up_a_visitor_s_credit(strict, there, monkeypatch):
    base, _, _ = there
    port = int(base.rpartition(":")[2])
    monkeypatch.setattr(addresses, "_CREDIT", 300.0)
    monkeypatch.setattr(connections, "_UNREAD", 200.0)
    with visiting(base, ATTACKER) as client:
        path, cookie = copied(client, uploaded(client, noise(700, 700))), cookie_of(client)
        for _ in range(2):
            with contextlib.closing(deaf(port, path, cookie)):
                time.sleep(0.1)
        end = time.monotonic() + 60
        while (status := client.get("/api/about").status_code) == 200:
            assert time.monotonic() < end
        assert status == 429
    with visiting(base, ATTACKER):  # who comes with another cookie, or none
        pass


def test_behind_a_proxy_everybody_has_credit_of_their_own(strict, tmp_path):
    application = app.make(Painter(), Sessions(tmp_path, Limits()), proxies=Proxies("10.0.0.1"))

    def asked(client, address):
        return client.get("/api/about", headers={"X-Forwarded-For": address}).status_code

    with TestClient(application, base_url="http://127.0.0.1", client=("10.0.0.1", 1)) as client:
        asked(client, "203.0.113.7")
        cookies = dict(client.cookies)
        client.cookies.clear()
        for _ in range(20):
            assert asked(client, "203.0.113.7") == 200
            client.cookies.clear()
        assert asked(client, "203.0.113.7") == 429 and asked(client, "203.0.113.8") == 200
        client.cookies.clear()
        client.cookies.update(cookies)
        assert asked(client, "203.0.113.7") == 200


def test_refusals_that_wait_are_few(strict, tmp_path, monkeypatch):
    """Behind a proxy they would keep the places of others."""
    monkeypatch.setattr(addresses, "_WAIT", 0.5)
    monkeypatch.setattr(addresses, "_LONGER", 1)
    application = app.make(Painter(), Sessions(tmp_path, Limits()), proxies=Proxies("10.0.0.1"))
    application.state.guests.credit.spend("203.0.113.7", 30.0)

    async def refused(count):
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": ("203.0.113.7", 1), "query_string": b""}
        start, seconds = time.monotonic(), []

        async def send(message):
            if message["type"] == "http.response.start":
                seconds.append(time.monotonic() - start)

        await asyncio.gather(*(application(scope, None, send) for _ in range(count)))
        return seconds

    seconds = asyncio.run(refused(40))
    assert len(seconds) == 40 and sum(one < 0.4 for one in seconds) == 40 - security._MOST_WAIT


def waits(base, count):
    """Seconds that each of so many honest visitors, all at once, waits for the upload and the first view of two photographs."""

    def come(number):
        seconds = []
        with visiting(base, f"127.0.1.{number + 1}") as client:
            for seed in (2 * number, 2 * number + 1):
                start = time.monotonic()
                id = uploaded(client, noise(300, 300, seed))
                client.post(f"/api/photographs/{id}/view", json={}).raise_for_status()
                seconds.append(time.monotonic() - start)
        return seconds

    with ThreadPoolExecutor(count) as pool:
        return list(itertools.chain.from_iterable(pool.map(come, range(count))))


def test_a_siege_costs_the_honest_little(there):
    """20 visitors, beside them 80 who read nothing and 120 pictures of a pixel: all are answered, none waits twice as long."""
    base, _, kept = there
    port = int(base.rpartition(":")[2])
    waits(base, 4)  # what happens only once
    alone = max(waits(base, 20))
    with visiting(base, ATTACKER) as client:
        path, cookie = copied(client, uploaded(client, noise(900, 900))), cookie_of(client)

    def takes_a_place(_):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(ATTACKER, 0))
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", "/api/about")
            answer = connection.getresponse()
            answer.read()
            headers = {"Cookie": answer.headers["set-cookie"].split(";")[0]}
            connection.request("POST", "/api/photographs?name=a.png", TINY, headers)
            places.append(connection.getresponse().status)

    places = []
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(4) as attackers:
        for _ in range(80):
            stack.enter_context(contextlib.closing(deaf(port, path, cookie)))
        besieging = attackers.map(takes_a_place, range(120))
        besieged = max(waits(base, 20))
        list(besieging)
    assert besieged < 2 * alone + 5.0, (besieged, alone)
    assert places.count(201) > 30 and sum(one.address == ATTACKER for one in kept._visitors.values()) <= 30
