"""Whether `colorjax serve` loses or mixes up anything when many come at once, and how long one waits for a view.

    python benchmarks/speed/serve.py [--ckpt=DIR] [--clients=20] [--pictures=10] [--side=1600] [--besieged] [--nice=19]

A server runs in a process of its own on loopback. First one visitor alone waits for a view after each change of a hint and of
the strength. (Where --ckpt follows no hints, it is the first view of each photograph.) Then all clients come at once. Each
sends pictures of its own, sees them, has them copied at full size and downloads the copies.

A copy is wrong unless its lightness is that of the picture that was sent. A client that is answered about another's photograph
counts as a leak. With --besieged they come twice more, beside somebody at another address who means harm: 260 connections
that ask for a copy and never read it, and uploads of one pixel without a cookie, --rate a second. First this attacker aims at a
dummy, which tells what its own work costs on a shared machine; then at the server. Without --ckpt the weights have the size of
`configs/unet_fast.py`'s, follow hints and are random. Linux only, for memory, CPU time and the second address.
"""

import argparse
import http.client
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from benchmarks.speed import serve_attack
from colorjax.inference.pixels import lightness_difference

LOSSLESS = 0.51  # |L*| that rounding to 8 bits may cost


class Client:
    """A visitor, and the cookie that it was given."""

    def __init__(self, port: int, address: str = "127.0.0.1"):
        self._port, self._address, self.cookie = port, address, ""
        self.ask("GET", "/api/about")

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """(status, body) of the answer; a body that is no bytes is sent as JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=600, source_address=(self._address, 0))
        connection.request(method, path, data, {"Cookie": self.cookie} if self.cookie else {})
        answer = connection.getresponse()
        self.cookie = (answer.headers.get("set-cookie") or self.cookie).split(";")[0]
        content = answer.read()
        connection.close()
        return answer.status, content

    def json(self, method: str, path: str, body: object = None) -> dict:
        status, content = self.ask(method, path, body)
        if status not in (200, 201, 202):
            raise RuntimeError(f"{method} {path}: {status} {content[:200]!r}")
        return json.loads(content)


def picture(number: int, side: int) -> np.ndarray:
    """A grey photograph like no other, (side * 3 / 4, side) uint8."""
    grey = np.asarray(Image.fromarray(skimage.data.astronaut()).convert("L").resize((side, side * 3 // 4)), np.float32)
    rng = np.random.default_rng(number)
    waves = np.asarray(Image.fromarray(rng.uniform(0, 1, (6, 8)).astype(np.float32)).resize(grey.shape[::-1], Image.BICUBIC))
    return np.uint8(np.clip(0.5 * grey + 110 * waves, 0, 255))


def png(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def timed_view(client: Client, id: str, asked: dict) -> float:
    start = time.perf_counter()
    status, content = client.ask("POST", f"/api/photographs/{id}/view", asked)
    if status != 200 or content[:2] != b"\xff\xd8":
        raise RuntimeError(f"view: {status} {content[:200]!r}")
    return time.perf_counter() - start


def alone(port: int, side: int, views: int) -> None:
    """One visitor, who waits for each view before the next."""
    client = Client(port)
    guided = client.json("GET", "/api/about")["guided"]
    ids = [client.json("POST", f"/api/photographs?name={n}.png", png(picture(9000 + n, side)))["id"] for n in range(12)]
    timed_view(client, ids[0], {})
    if guided:
        hints = [{"x": (40 + 13 * n) % side, "y": (50 + 7 * n) % (side * 3 // 4), "color": "#c04020"} for n in range(views)]
        row("a view after a change of a hint", [timed_view(client, ids[0], {"hints": hints[: n + 1]}) for n in range(views)])
    else:
        row("the first view of a photograph", [timed_view(client, id, {}) for id in ids[1:]])
    row("a view after a change of strength", [timed_view(client, ids[0], {"strength": n / views}) for n in range(views)])
    for id in ids:
        client.ask("DELETE", f"/api/photographs/{id}")


def row(name: str, seconds: list[float]) -> None:
    common.row(name, f"{np.median(seconds):.2f}", f"{np.quantile(seconds, 0.95):.2f}")


class Crowd:
    """All clients at once. What became of it: lost, wrong, leaks, seconds of views, first failures."""

    def __init__(self, port: int, clients: int, pictures: int, side: int):
        self._port, self._pictures, self._side = port, pictures, side
        self.views: list[float] = []
        self.done = self.wrong = self.leaks = 0
        self.failures: list[str] = []
        self._ids: list[str] = []
        self._lock, self._together = threading.Lock(), threading.Barrier(clients)

    def come(self, number: int) -> None:
        client = Client(self._port)
        self._together.wait()
        mine = {}
        for n in range(self._pictures):
            try:
                image = picture(number * self._pictures + n, self._side)
                id = client.json("POST", f"/api/photographs?name={number}-{n}.png", png(image))["id"]
                mine[id] = image
                seconds = timed_view(client, id, {})
                with self._lock:
                    self.views.append(seconds)
                    self._ids.append(id)
                client.json("POST", f"/api/photographs/{id}/copy", {})
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                self.failures.append(str(error))
        for id, image in mine.items():
            try:
                self._check(client, id, image)
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                self.failures.append(str(error))
        self._look_at_others(client, set(mine))

    def _check(self, client: Client, id: str, image: np.ndarray) -> None:
        while (about := client.json("GET", "/api/progress")["copies"][id])["state"] == "waiting":
            time.sleep(0.3)
        if about["state"] != "ready":
            raise RuntimeError(about["reason"])
        status, content = client.ask("GET", f"/api/photographs/{id}/copy")
        copy = np.asarray(Image.open(io.BytesIO(content)))
        is_mine = copy.shape == (*image.shape, 3) and lightness_difference(image, copy)[0] < LOSSLESS
        with self._lock:
            self.done += status == 200
            self.wrong += not is_mine

    def _look_at_others(self, client: Client, mine: set[str]) -> None:
        shown = {one["id"] for one in client.json("GET", "/api/photographs")["photographs"]}
        answered = [
            id for id in list(self._ids) if id not in mine and client.ask("GET", f"/api/photographs/{id}/before")[0] != 404
        ]
        with self._lock:
            self.leaks += len(shown - mine) + len(answered)


def crowded(port: int, args: argparse.Namespace) -> None:
    """All clients at once; prints what became of them, and the CPU time that it took."""
    crowd, start = Crowd(port, args.clients, args.pictures, args.side), time.perf_counter()
    before, mine = common.cpu_seconds(args.server), time.process_time()
    with ThreadPoolExecutor(args.clients) as pool:
        list(pool.map(crowd.come, range(args.clients)))
    seconds, total = time.perf_counter() - start, args.clients * args.pictures
    print(
        f"{total} pictures of {args.side} x {args.side * 3 // 4} pixels from {args.clients} clients: {seconds:.0f} s, ", end=""
    )
    print(f"{total - crowd.done} lost, {crowd.wrong} wrong, {crowd.leaks} seen by others; ", end="")
    print(f"a first view {np.median(crowd.views):.1f} s, the longest {max(crowd.views):.1f} s", flush=True)
    print(*crowd.failures[:5], sep="\n", end="\n" if crowd.failures else "")
    print(f"server: {common.cpu_seconds(args.server) - before:.1f} s of CPU; the honest: {time.process_time() - mine:.1f}")


def under_siege(port: int, args: argparse.Namespace) -> None:
    """What `crowded` prints, beside the attacker at work on a dummy, and then on the server."""
    attacker = Client(port, serve_attack.ADDRESS)
    id = attacker.json("POST", "/api/photographs?name=bait.png", png(picture(77, 3000)))["id"]
    attacker.json("POST", f"/api/photographs/{id}/copy", {})
    while attacker.json("GET", "/api/progress")["copies"][id]["state"] == "waiting":
        time.sleep(0.3)
    with serve_attack.dummy(args.nice) as elsewhere:
        for what, target in (("the same attacker, who attacks a dummy", elsewhere), ("both attacks on this server", port)):
            print(f"\nbeside {what}, at nice {args.nice}:")
            with serve_attack.going_on(target, f"/api/photographs/{id}/copy", attacker.cookie, args.nice, args.rate) as done:
                crowded(port, args)
            answers = ", ".join(f"{count} {answer}" for answer, count in done["uploads"].most_common())
            print(f"attacker: {done['seconds']:.1f} s of CPU; {done['connections']} connections that read nothing; ", end="")
            print(f"uploads of one pixel by answer: {answers}", flush=True)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--ckpt")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=10, help="of each client")
    parser.add_argument("--side", type=int, default=1600, help="pixels of the longer side")
    parser.add_argument("--views", type=int, default=30, help="that one visitor alone waits for, of each kind; 0 for none")
    parser.add_argument("--besieged", action="store_true", help="again, beside the attacker")
    parser.add_argument("--nice", type=int, default=19, help="of the attacker's process")
    parser.add_argument("--rate", type=float, default=300, help="uploads a second that the attacker tries")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights = args.ckpt or common.random_weights(Path(folder, "weights"), guided=True)
        weights = weights if weights == "pretrained" else Path(weights).absolute()
        process = common.colorjax_process("serve", "--port", 0, "--ckpt", weights, cwd=folder, stdout=subprocess.PIPE)
        try:
            args.server = process.pid
            port = int(re.search(r":(\d+)/", process.stdout.readline())[1])
            print(f"{os.cpu_count()} processors\n")
            if args.views:
                common.table("seconds", "median", "95 %")
                alone(port, args.side, args.views)
            print(flush=True)
            crowded(port, args)
            if args.besieged:
                under_siege(port, args)
            print(f"largest memory {common.peak_memory(process.pid):.0f} MB")
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
