"""Look at the built site: pictures of its pages, links that lead nowhere, errors in the console.

    python docs/screenshots.py [--build docs/build] [--to FOLDER] [PAGE ...]

Pages are opened in headless Chromium at 1280 and 390 pixels, light and dark. Every internal link
and anchor of every page is followed. The script ends with 1 where anything is wrong: a link, an
error in the console, or a page that is wider than its window.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

WIDTHS = (1280, 390)
THEMES = ("light", "dark")
PAGES = (
    "index.html",
    "getting_started.html",
    "user_guide.html",
    "lecture/index.html",
    "gallery/index.html",
    "reference/index.html",
)


class Links(HTMLParser):
    """The addresses that a page leads to, and the anchors that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: set[str] = set()
        self.anchors: set[str] = set()

    def handle_starttag(
        self, tag: str, attributes: list[tuple[str, str | None]]
    ) -> None:
        """Note what leads somewhere, and what can be led to."""
        found = dict(attributes)
        for name in ("href", "src"):
            if found.get(name) and tag != "base":
                self.addresses.add(found[name] or "")
        self.anchors |= {
            found[name] or "" for name in ("id", "name") if found.get(name)
        }


def read(page: Path) -> Links:
    """Return the links of a page."""
    links = Links()
    links.feed(page.read_text(encoding="utf-8"))
    return links


def broken_links(build: Path) -> list[str]:
    """Return a line for each internal link whose file or anchor is missing."""
    build = build.resolve()
    pages = {page: read(page) for page in sorted(build.rglob("*.html"))}
    pages = {
        page: links for page, links in pages.items() if "_static" not in page.parts
    }
    wrong = []
    for page, links in pages.items():
        for address in sorted(links.addresses):
            if "://" in address or address.startswith(
                ("mailto:", "data:", "javascript:", "//")
            ):
                continue
            file, anchor = urldefrag(address)
            file = unquote(file.split("?")[0])
            target = (page.parent / file).resolve() if file else page
            target = target / "index.html" if target.is_dir() else target
            known = pages.get(target)
            if not target.exists():
                wrong.append(f"{page.relative_to(build)}: no file {address}")
            elif known and anchor and unquote(anchor) not in known.anchors:
                wrong.append(f"{page.relative_to(build)}: no anchor {address}")
    return wrong


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server that does not write a line for each request."""

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


def chromium() -> str:
    """Return the browser."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    sys.exit(
        "Screenshots are made with Chromium, and none was found: apt-get install chromium"
    )


# The page is shown in a frame of the wanted width: a window is never narrower than 500 pixels.
FRAME = """<!doctype html><style>body{{margin:0}}
iframe{{border:0;width:{width}px;height:{height}px}}
</style><iframe id="page"></iframe><script>
localStorage.setItem("mode", "{theme}"); localStorage.setItem("theme", "{theme}");
const frame = document.getElementById("page"), wrong = [];
frame.src = "/{page}";
frame.onload = () => {{
  const inside = frame.contentWindow;
  inside.addEventListener("error", event => wrong.push(event.message));
  setTimeout(() => {{
    const root = inside.document.documentElement;
    document.title = JSON.stringify({{
      wide: root.scrollWidth - root.clientWidth, tall: root.scrollHeight, wrong}});
  }}, 2500);
}};
</script>"""


def browse(
    browser: str, address: str, options: list[str]
) -> subprocess.CompletedProcess[str]:
    """Open an address without a window."""
    with tempfile.TemporaryDirectory() as profile:
        return subprocess.run(
            [
                browser,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--enable-logging=stderr",
                "--virtual-time-budget=12000",
                f"--user-data-dir={profile}",
                *options,
                address,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def look(browser: str, server: str, build: Path, to: Path, page: str) -> list[str]:
    """Take the pictures of a page, and return what is wrong with it."""
    wrong = []
    for width in WIDTHS:
        for theme in THEMES:
            name = f"{page.replace('/', '_').removesuffix('.html')}-{width}-{theme}"
            height, where = 1600, build / f"frame-{name}.html"
            for last in (False, True):  # first how tall it is, then all of it
                where.write_text(
                    FRAME.format(width=width, height=height, theme=theme, page=page)
                )
                options = [f"--window-size={max(width, 500)},{height}"]
                options += [f"--screenshot={to / name}.png"] if last else ["--dump-dom"]
                done = browse(browser, f"{server}/{where.name}", options)
                if not last:
                    title = done.stdout.partition("<title>")[2].partition("</title>")[0]
                    seen = json.loads(
                        title or '{"wide": 0, "tall": 1600, "wrong": ["not loaded"]}'
                    )
                    height = min(seen["tall"], 9000)
                    console = [x for x in done.stderr.splitlines() if "CONSOLE" in x]
                    problems = seen["wrong"] + [x for x in console if "rror" in x]
                    if seen["wide"] > 0:
                        problems.append(f"{seen['wide']} pixels wider than the window")
                    wrong += [f"{name}: {problem}" for problem in problems]
            where.unlink()
    return wrong


def main() -> int:
    """Follow the links, take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "pages", nargs="*", default=list(PAGES), help="pages, from the build"
    )
    parser.add_argument("--build", type=Path, default=Path(__file__).parent / "build")
    parser.add_argument("--to", type=Path, default=Path("build/screenshots"))
    parser.add_argument("--links-only", action="store_true", help="take no pictures")
    given = parser.parse_args()
    wrong = broken_links(given.build)
    if not given.links_only:
        given.to.mkdir(parents=True, exist_ok=True)
        handler = functools.partial(Quiet, directory=str(given.build))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        for page in given.pages:
            wrong += look(chromium(), address, given.build, given.to.resolve(), page)
        server.shutdown()
    print("\n".join(wrong) or "Nothing is wrong.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
