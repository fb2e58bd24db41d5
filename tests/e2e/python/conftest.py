"""The official SDKs against a running gateway.

One fake provider per protocol, one gateway in front of them. A model name `<provider>-<behaviour>` picks the provider
(chat, responses, messages, gemini) and what it does: `ok` answers, `fail-429` answers that status, `cut` breaks off in the
middle of a stream, `error` fails inside it.
"""

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.request

import pytest

PROVIDERS = ["chat", "responses", "messages", "gemini"]
STATUSES = [400, 401, 404, 429, 500, 503]
KEY = "pp-e2e-0123456789abcdef"
TINY_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    def __init__(self, url):
        self.url = url
        self.key = KEY


@contextlib.contextmanager
def running(folder, *fake_arguments):
    """The gateway and its providers, ended on leaving."""
    processes, providers, models = [], [], []
    try:
        for protocol in PROVIDERS:
            fake = subprocess.Popen(
                [os.environ["POLYPORT_FAKE"], "--protocol", protocol, "--port", "0", *fake_arguments],
                stdout=subprocess.PIPE,
                text=True,
            )
            processes.append(fake)
            address = json.loads(fake.stdout.readline())["address"]
            path = "/v1" if protocol in ("chat", "responses") else ""
            # A failure may rest its credential: each status has a provider entry, and so a credential, of its own.
            for name in [protocol, *[f"{protocol}-fail-{status}" for status in STATUSES]]:
                providers.append(
                    f'  {name}: {{ protocol: {protocol}, base_url: "http://{address}{path}", keys: ["provider-key-{name}-123"] }}'
                )
                models.append(f'  "{name}-*": "{name}/*"' if name == protocol else f"  {name}: {name}/{name}")
        port = free_port()
        config = folder / "polyport.yaml"
        config.write_text(
            "\n".join(
                [
                    f"server: {{ host: 127.0.0.1, port: {port} }}",
                    f'access: {{ keys: [{{ name: e2e, key: "{KEY}" }}] }}',
                    "providers:",
                    *providers,
                    "models:",
                    *models,
                ]
            )
        )
        log = open(folder / "polyport.log", "w")
        server = subprocess.Popen(
            [os.environ["POLYPORT_BIN"], "serve", "--config", str(config), "--data", str(folder)],
            stdout=log,
            stderr=log,
            cwd=folder,
            env={"PATH": os.environ["PATH"]},
        )
        processes.append(server)
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(url + "/healthz", timeout=1)
                break
            except OSError:
                assert server.poll() is None, (folder / "polyport.log").read_text()
                assert time.monotonic() < deadline, "the gateway does not answer"
                time.sleep(0.02)
        yield Gateway(url)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    with running(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.fixture(params=PROVIDERS)
def provider(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def stream(request):
    return request.param
