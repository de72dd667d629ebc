"""The manifests parse, and set only what the service reads."""

import re
from pathlib import Path
from typing import Any

import yaml

from outrider_vllm.private import TESTED_VERSIONS

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "infra/vllm"
VERIFY = ROOT / "gpu-service/verify"
KNOWN = set(re.findall(r"^ {2,4}([A-Z][A-Z_]+): ", (VERIFY / "config.ts").read_text(), re.M)) | set(
    re.findall(r"^ {2}([A-Z][A-Z_]+): ", (VERIFY / "engines/vllm/config.ts").read_text(), re.M)
)


def test_compose_sets_known_variables() -> None:
    service: dict[str, Any] = yaml.safe_load((MANIFESTS / "compose.yaml").read_text())["services"]["verify"]
    assert {"TARGET_DIR", "LINK_KEYS", "TENSOR_PARALLEL"} <= set(service["environment"]) <= KNOWN
    assert (MANIFESTS / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_kuberay_sets_known_variables_and_has_gpus_for_every_rank() -> None:
    cluster, service = yaml.safe_load_all((MANIFESTS / "kuberay.yaml").read_text())
    head = cluster["spec"]["headGroupSpec"]["template"]
    container = head["spec"]["containers"][0]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert set(env) <= KNOWN
    assert env["VLLM_EXECUTOR"] == "ray"
    groups = [(1, container)] + [
        (group["replicas"], group["template"]["spec"]["containers"][0]) for group in cluster["spec"]["workerGroupSpecs"]
    ]
    gpus = sum(replicas * one["resources"]["limits"]["nvidia.com/gpu"] for replicas, one in groups)
    assert gpus == int(env["TENSOR_PARALLEL"]) * int(env["PIPELINE_PARALLEL"])
    assert service["spec"]["selector"].items() <= head["metadata"]["labels"].items()


def test_the_image_has_a_version_that_is_not_refused() -> None:
    dockerfile = (MANIFESTS / "Dockerfile").read_text()
    assert re.search(r"^ARG BASE=\S+:v(\S+)$", dockerfile, re.M).group(1) in TESTED_VERSIONS
    variables = re.search(r"^ENV (.*)$", dockerfile, re.M).group(1)
    assert {pair.split("=")[0] for pair in variables.split()} <= KNOWN
