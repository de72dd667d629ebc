"""The Python standard library on this machine as a corpus: its files and its documented functions."""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SKIPPED_PARTS = {"test", "tests", "idlelib", "site-packages", "dist-packages", "lib2to3", "__pycache__", "ensurepip"}


@dataclass(frozen=True)
class DocumentedFunction:
    """Signature and docstring as they stand in the source, not indented, ending in a line feed."""

    name: str
    head: str
    summary: str


def library_files() -> list[Path]:
    root = Path(sysconfig.get_paths()["stdlib"])
    return sorted(p for p in root.rglob("*.py") if not SKIPPED_PARTS & set(p.relative_to(root).parts))


def read_source(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError):
        return None


def documented_functions(files: list[Path]) -> Iterator[DocumentedFunction]:
    """Functions with a docstring and a body, whose signature and docstring fit 40 to 700 characters."""
    for path in files:
        source = read_source(path)
        try:
            tree = ast.parse(source or "")
        except SyntaxError:
            continue
        lines = (source or "").split("\n")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and len(node.body) > 1:
                doc = ast.get_docstring(node)
                head = head_of(node, lines)
                if doc and 40 < len(head) < 700:
                    yield DocumentedFunction(node.name, head, doc.split("\n")[0])


def head_of(node: ast.FunctionDef, lines: list[str]) -> str:
    end = node.body[0].end_lineno or node.lineno
    indent = len(lines[node.lineno - 1]) - len(lines[node.lineno - 1].lstrip())
    cut = [line[indent:] if not line[:indent].strip() else line for line in lines[node.lineno - 1 : end]]
    return "\n".join(cut) + "\n"
