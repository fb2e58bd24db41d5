"""schemathesis asks a real gateway everything that its OpenAPI document describes, and much that it does not."""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

KEY = "ap-e2e-0123456789abcdef"

# Nothing listens there: whatever is declared on the way, no service is asked.
NOWHERE = "http://127.0.0.1:9"

CONFIGURATION = f"""
discover: false
providers:
  file: {{ base_url: "{NOWHERE}/v1", proxy: none, keys: [sk-of-the-file-0123456789] }}
  accounts: {{ base_url: "{NOWHERE}/v1", proxy: none, oauth: {{ token_url: "{NOWHERE}/token", client_id: c }} }}
models: {{ m: file/m }}
pools:
  fast: {{ targets: [file/m], tier: tool }}
routes:
  - {{ match: {{ model_contains: zz }}, to: file }}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait(address):
    for _ in range(200):
        try:
            return urllib.request.urlopen(f"{address}/healthz", timeout=2).status
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit("the gateway does not start")


def main():
    here = pathlib.Path(__file__).parent.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        configuration = folder / "polyport.yaml"
        configuration.write_text(CONFIGURATION)
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        proxies = {name: NOWHERE for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")}
        with open(folder / "log", "w") as log:
            gateway = subprocess.Popen(
                [os.environ["POLYPORT_BIN"], "serve", "--config", configuration, "--port", str(port)],
                stdout=log,
                stderr=log,
                cwd=folder,
                env={"PATH": os.environ["PATH"], "ADMIN_TOKEN": KEY, **proxies},
            )
        try:
            wait(address)
            schemathesis = pathlib.Path(sys.executable).with_name("schemathesis")
            command = [schemathesis, "--config-file", here / "schemathesis.toml", "--no-color", "run"]
            command += [f"{address}/admin/api/openapi.json", "--include-path-regex", "^/admin/"]
            command += ["--header", f"Authorization: Bearer {KEY}", "--warnings", "off"]
            done = subprocess.run(command, cwd=folder)
            alive = gateway.poll() is None
        finally:
            gateway.terminate()
            gateway.wait()
        panics = [line for line in (folder / "log").read_text().splitlines() if "panicked" in line]
    if panics or not alive:
        print("\n".join(panics) or "the gateway has ended")
        return 1
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
