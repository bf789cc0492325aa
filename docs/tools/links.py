"""The links of README, docs and the other pages that lead out of this repository, and whether somebody answers there.

    python docs/tools/links.py

It lists them. Where there is a network it asks each once; one that is gone (404 or 410) makes the exit code 1. An address
that does not answer, or refuses a program, is told and is no failure: that is as often the network's fault as ours.
"""

import re
import socket
import sys
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
OURS = ("https://colorjax.github.io", "https://github.com/colorjax/")  # there when the first release is
GONE, SECONDS = (404, 410), 15


def found() -> dict[str, list[str]]:
    """Address: the pages that link to it."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md"), *ROOT.glob("deploy/*.md")]
    links = defaultdict(list)
    for page in sorted(pages):
        for link in re.findall(r"\]\((https?://[^)\s]+)\)", page.read_text(encoding="utf-8")):
            if not link.startswith(OURS):
                links[link].append(page.relative_to(ROOT).as_posix())
    return links


def there_is_a_network() -> bool:
    """Whether the name of a host that always stands can be found."""
    try:
        socket.getaddrinfo("www.iana.org", 443)
    except OSError:
        return False
    return True


def answer(link: str) -> int | str:
    """The status that a server gives, or why there is none."""
    request = urllib.request.Request(link, headers={"User-Agent": "colorjax-docs"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return f"no answer ({error})"


def main() -> int:
    """List, and ask where there is a network."""
    links, gone = found(), 0
    asked = there_is_a_network()
    for link, pages in sorted(links.items()):
        said = answer(link) if asked and urlsplit(link).hostname else "not asked"
        gone += said in GONE
        print(f"{said}  {link}  ({', '.join(pages)})")
    print(f"{len(links)} links" + ("" if asked else "; there is no network, so none was asked"))
    return 1 if gone else 0


if __name__ == "__main__":
    sys.exit(main())
