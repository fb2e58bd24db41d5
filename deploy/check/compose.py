"""The compose files: they can be read, their variables are known, and nothing in them is a password, runs as more than it must or moves by itself."""

import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECRET = re.compile(r"(KEY|PASSWORD|TOKEN|SECRET)$")
VARIABLE = re.compile(r"\$\{([A-Z_]+)(:[-?])([^}]*)\}")


def check(path):
    file = yaml.safe_load(path.read_text())
    services, volumes = file["services"], file.get("volumes", {})
    assert "version" not in file, "compose has no versions any more"
    for name, service in services.items():
        where = f"{path.name}: {name}"
        image = service["image"]
        assert re.search(r":(?!latest$)[\w.-]+$", image), f"{where}: {image} moves by itself"
        assert service["restart"] == "unless-stopped", where
        assert "no-new-privileges:true" in service["security_opt"], where
        assert not service.get("privileged") and service.get("network_mode") != "host", where
        for variable, value in service.get("environment", {}).items():
            found = VARIABLE.findall(value)
            for used, how, words in found:
                assert how == ":-" and words == "" or how == ":?" and used in words, f"{where}: {used}"
            assert not SECRET.search(variable) or found, f"{where}: {variable} has a value that everybody knows"
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in volumes, f"{where}: {volume}"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{where}: {port} is open to the network"
        for needed, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"} and "healthcheck" in services[needed], where
    polyport = services["polyport"]
    assert polyport["read_only"] and polyport["cap_drop"] == ["ALL"] and "data:/data" in polyport["volumes"], path.name
    assert ":?" in polyport["environment"]["POLYPORT_API_KEY"], path.name


for name in sys.argv[1:] or ["docker-compose.yml", "docker-compose.cluster.yml"]:
    check(ROOT / name)
print("the compose files are sound")
