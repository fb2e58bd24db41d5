"""The chart with the values that people give it: what comes out is what Kubernetes is to get, and what cannot work is refused with words."""

import copy
import json
import os
import pathlib
import subprocess
import sys

import jsonschema
import yaml

HERE = pathlib.Path(__file__).resolve().parent
CHART = HERE.parent / "helm" / "polyport"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
ABOUT = yaml.safe_load((CHART / "Chart.yaml").read_text())
SECRET = {"existingSecret": "keys"}


def merged(base, over):
    out = copy.deepcopy(base)
    for key, value in over.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def render(renderer, values, release="polyport", kubernetes="v1.34.1"):
    values = merged(DEFAULTS, values)
    jsonschema.validate(values, SCHEMA)
    chart = {"Name": ABOUT["name"], "Version": ABOUT["version"], "AppVersion": ABOUT["appVersion"]}
    context = {"Values": values, "Chart": chart, "Release": {"Name": release, "Namespace": "default", "Service": "Helm"}}
    context["Capabilities"] = {"KubeVersion": {"Version": kubernetes}}
    order = {"Templates": str(CHART / "templates"), "Context": context}
    done = subprocess.run([renderer], input=json.dumps(order), capture_output=True, text=True)
    if done.returncode:
        raise ValueError(done.stderr)
    objects = {}
    for path, text in json.loads(done.stdout).items():
        if path.endswith(".txt"):
            assert text.strip(), path
            continue
        for document in yaml.safe_load_all(text):
            if document is not None:
                assert {"apiVersion", "kind", "metadata"} <= set(document), path
                assert len(document["metadata"]["name"]) <= 63, path
                objects[document["kind"]] = document
    return objects


def refused(renderer, values, words):
    try:
        render(renderer, values)
    except (ValueError, jsonschema.ValidationError) as error:
        assert words in str(error), f"{words!r} is not in: {error}"
    else:
        raise AssertionError(f"{values} is not refused")


def main(renderer):
    assert ABOUT["appVersion"] in (HERE.parents[1] / "Cargo.toml").read_text(), "the chart is of another version"
    usual = render(renderer, SECRET)
    assert set(usual) == {"Deployment", "Service", "ConfigMap", "ServiceAccount", "PersistentVolumeClaim", "Pod"}
    deployment = usual["Deployment"]["spec"]
    assert deployment["replicas"] == 1 and deployment["strategy"] == {"type": "Recreate"}
    pod = deployment["template"]["spec"]
    assert deployment["selector"]["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()
    assert usual["Service"]["spec"]["selector"] == deployment["selector"]["matchLabels"]
    assert pod["terminationGracePeriodSeconds"] == 140 and pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False, "variables of services look like settings"
    context = pod["securityContext"]
    assert context["runAsNonRoot"] and context["runAsUser"] == 65532
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = pod["containers"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    for probe, path in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]:
        assert container[probe]["httpGet"] == {"path": path, "port": "http"}
    assert container["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    for values, kubernetes in [({"preStopSeconds": 0}, "v1.34.1"), ({}, "v1.29.4")]:
        other = render(renderer, {**SECRET, **values}, kubernetes=kubernetes)["Deployment"]["spec"]["template"]["spec"]
        assert "lifecycle" not in other["containers"][0], kubernetes
    assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    assert env["POLYPORT_LIMITS__DRAIN"] == "120s" and env["POLYPORT_HOST"] == "0.0.0.0"
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}
    assert yaml.safe_load(usual["ConfigMap"]["data"]["polyport.yaml"]) == {}
    assert usual["PersistentVolumeClaim"]["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"

    config = {"models": {"fast": "openai/gpt-5-mini"}, "log": {"level": "info"}}
    given = {
        **SECRET,
        "replicaCount": 3,
        "store": {"postgres": True},
        "persistence": {"accessMode": "ReadWriteMany", "storageClass": "nfs", "annotations": {"a": "b"}},
        "config": config,
        "extraEnv": [{"name": "RUST_LOG", "value": "debug"}],
        "extraEnvFrom": [{"configMapRef": {"name": "more"}}],
        "ingress": {"enabled": True, "host": "llm.example.com", "className": "nginx", "tlsSecret": "tls", "annotations": {"x": "y"}},
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "networkPolicy": {"enabled": True, "from": [{"podSelector": {}}]},
        "service": {"annotations": {"s": "t"}, "type": "LoadBalancer"},
        "serviceAccount": {"annotations": {"role": "none"}},
        "image": {"tag": "1.2.3", "pullSecrets": [{"name": "registry"}]},
        "podAnnotations": {"p": "q"},
        "podLabels": {"team": "llm"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [{"maxSkew": 1}],
        "priorityClassName": "high",
    }
    whole = render(renderer, given, release="gateway")
    assert {"Ingress", "ServiceMonitor", "NetworkPolicy", "PodDisruptionBudget"} <= set(whole)
    assert whole["Deployment"]["metadata"]["name"] == "gateway-polyport"
    spec = whole["Deployment"]["spec"]
    assert spec["replicas"] == 3 and spec["strategy"]["type"] == "RollingUpdate"
    pod = spec["template"]["spec"]
    [container] = pod["containers"]
    assert container["image"] == "polyport:1.2.3"
    assert {"name": "RUST_LOG", "value": "debug"} in container["env"] and len(container["envFrom"]) == 2
    assert pod["nodeSelector"] == {"disk": "ssd"} and pod["priorityClassName"] == "high"
    assert yaml.safe_load(whole["ConfigMap"]["data"]["polyport.yaml"]) == config
    assert whole["ServiceMonitor"]["spec"]["endpoints"][0]["authorization"]["credentials"]["key"] == "POLYPORT_ADMIN_KEY"
    assert whole["NetworkPolicy"]["spec"]["ingress"][0]["from"] == [{"podSelector": {}}]

    claimed = render(renderer, {**SECRET, "persistence": {"existingClaim": "mine"}, "serviceAccount": {"create": False}})
    assert "PersistentVolumeClaim" not in claimed and "ServiceAccount" not in claimed
    assert claimed["Deployment"]["spec"]["template"]["spec"]["serviceAccountName"] == "default"
    fleeting = render(renderer, {**SECRET, "persistence": {"enabled": False}})
    assert {"name": "data", "emptyDir": {}} in fleeting["Deployment"]["spec"]["template"]["spec"]["volumes"]

    refused(renderer, {}, "existingSecret is needed")
    refused(renderer, {**SECRET, "replicaCount": 2}, "replicaCount above 1 needs Postgres")
    refused(renderer, {**SECRET, "replicaCount": 2, "store": {"postgres": True}}, "ReadWriteMany")
    refused(renderer, {**SECRET, "ingress": {"enabled": True}}, "ingress.host is needed")
    refused(renderer, {**SECRET, "replicaCount": 0}, "less than the minimum")
    refused(renderer, {**SECRET, "replicas": 2}, "Additional properties are not allowed")
    print("the chart renders as it should, and refuses what cannot work")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
