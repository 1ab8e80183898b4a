"""A real TensorBoard server, asked over HTTP as a browser would."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager


class Client:
    """What the server shows of a log folder."""

    def __init__(self, url):
        self.url = url.rstrip("/") + "/"

    def get(self, path, **query):
        address = f"{self.url}{path}?{urllib.parse.urlencode(query)}" if query else self.url + path
        with urllib.request.urlopen(address, timeout=30) as answer:
            return answer.read()

    def tags(self, plugin):
        """{run: {tag: ...}} of the plugin "images" or "scalars"."""
        return json.loads(self.get(f"data/plugin/{plugin}/tags"))

    def images(self, run, tag):
        """[(step, bytes of the picture)] of a tag."""
        found = json.loads(self.get("data/plugin/images/images", run=run, tag=tag, sample=0))
        return [
            (entry["step"], self.get("data/plugin/images/individualImage?" + entry["query"]))
            for entry in found
        ]

    def scalars(self, run, tag):
        """[(step, value)] of a tag."""
        return [
            (step, value)
            for _, step, value in json.loads(self.get("data/plugin/scalars/scalars", run=run, tag=tag))
        ]


@contextmanager
def tensorboard(logdir, ready, option="--logdir", **more):
    """Serve `logdir` in a process of its own; wait until ``ready(client)`` is true. `more`: for Popen."""
    command = [sys.executable, "-W", "ignore", "-m", "tensorboard.main", option, str(logdir)]
    command += ["--host", "127.0.0.1", "--port", "0", "--samples_per_plugin", "images=1000"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, **more
    ) as server:
        try:
            line = next(line for line in server.stderr if " at http://" in line)
            threading.Thread(target=server.stderr.read, daemon=True).start()  # or its pipe fills up
            client = Client(line.split(" at ")[1].split()[0])
            deadline = time.monotonic() + 60
            while not ready(client):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"TensorBoard did not load {logdir}: {client.tags('images')}")
                time.sleep(0.2)
            yield client
        finally:
            server.terminate()
