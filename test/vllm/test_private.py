"""The internals of vLLM that are relied on, and the versions that are refused."""

import ast
import re
from pathlib import Path

import pytest
import vllm

from outrider_vllm import private
from outrider_vllm.private import TESTED_VERSIONS, UnsupportedVersionError, misfit_symbols, require_known_version

PACKAGE = Path(private.__file__).parent
# What vLLM documents for its users.
PUBLIC = {"vllm", "vllm.sampling_params"}


def test_the_installed_version_fits() -> None:
    require_known_version()
    assert vllm.__version__.split("+")[0] in TESTED_VERSIONS


@pytest.mark.parametrize("version", ["0.31.9", "0.33.0", "1.0.0+cu130", "dev"])
def test_an_unknown_version_is_refused_with_the_tested_ones(version: str) -> None:
    expected = re.escape(f"{version} is not one") + ".*" + re.escape(TESTED_VERSIONS[0])
    with pytest.raises(UnsupportedVersionError, match=expected):
        require_known_version(version)


def test_what_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "CALLABLES", (("Scheduler.schedule", lambda self: None, ("throttle",)),))
    assert "Scheduler.schedule takes no throttle" in misfit_symbols()
    with pytest.raises(UnsupportedVersionError, match=r"Scheduler\.schedule takes no throttle"):
        require_known_version(TESTED_VERSIONS[0])


def test_internals_are_imported_in_one_file_only() -> None:
    for path in PACKAGE.glob("*.py"):
        tree = ast.parse(path.read_text())
        imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        internal = {name for name in imported if name.split(".")[0] == "vllm"} - PUBLIC
        assert not internal or path.name == "private.py", (path.name, internal)
