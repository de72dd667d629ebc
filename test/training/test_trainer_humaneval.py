"""Programs that nobody has read run under limits, and HumanEval counts what passes its own tests."""

import json
import re
import socket
import threading
from pathlib import Path

import pytest

import trainer.humaneval as stage
from trainer.evaluation_sets import humaneval
from trainer.humaneval import asked, body_of, program_of
from trainer.progress import Progress
from trainer.sandbox import Limits, run_program
from trainer.stages import parser_of
from trainer.vocabulary import Vocabulary

TINY = Path(__file__).resolve().parents[2] / "infra/models/tiny/target"
PATIENT = Limits(seconds=1, memory_bytes=256 << 20, grace_s=120)
"""Only the processor's time counts: on a busy machine the clock tells nothing of a program."""
LONG = Limits(seconds=10, grace_s=120)
HASTY = Limits(seconds=1, memory_bytes=256 << 20, grace_s=1)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("assert 1 + 1 == 2", "passed"),
        ("import math, collections, typing, re, itertools\nassert math.sqrt(4) == 2", "passed"),
        ("print('loud' * 1000)", "passed"),
        ("assert 1 + 1 == 3", "AssertionError"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("while True: pass", "ended by signal"),
        ("x = bytearray(1 << 30)", "MemoryError"),
        ("open('x', 'w').write('x')", "PermissionError"),
        ("import os\nos.remove(os.__file__)", "PermissionError"),
        ("import subprocess\nsubprocess.run(['id'])", "PermissionError"),
        ("import os\nos.system('id')", "PermissionError"),
        ("import os\nos.fork()", "PermissionError"),
        ("import os\nos.kill(os.getppid(), 9)", "PermissionError"),
        ("import ctypes\nctypes.CDLL(None)", "PermissionError"),
        ("import sys\nsys.exit(0)", "ended before its end"),
        ("import os\nos._exit(0)", "ended before its end"),
        ("import sys\nsys.stdin.read()\nassert False", "AssertionError"),
    ],
)
def test_programs(program: str, reason: str) -> None:
    outcome = run_program(program, PATIENT)
    assert re.search(reason, outcome.reason), outcome
    assert outcome.passed == (reason == "passed")


def test_a_program_that_sleeps_is_ended() -> None:
    assert run_program("import time\ntime.sleep(600)", HASTY).reason == "out of time"


def test_no_program_reaches_a_server_on_this_machine() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    reached = threading.Event()

    def wait() -> None:
        try:
            server.accept()
            reached.set()
        except OSError:
            pass

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    program = f"import socket\nsocket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2)"
    assert "PermissionError" in run_program(program, PATIENT).reason
    server.close()
    assert not reached.is_set()


def test_a_body_ends_where_something_else_begins() -> None:
    assert body_of("    return 1\n\n\ndef other():\n    pass\n") == "    return 1\n\n"
    assert body_of("    return 1\n```\nThis function") == "    return 1"
    assert body_of("    if x:\n        return 1\n    # so\n    return 2\n").endswith("return 2\n")


def test_the_canonical_answers_pass_and_wrong_ones_do_not() -> None:
    problems = humaneval()[::20]
    for problem in problems:
        right = run_program(program_of(problem, problem["canonical_solution"]), LONG)
        assert right.passed, (problem["task_id"], right.reason)
        assert not run_program(program_of(problem, "    return None\n"), LONG).passed


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ("plain", "def f():"),
        (
            "chat",
            "<|im_start|>user\nComplete this Python function.<|im_end|>\n<|im_start|>assistant\n```python\ndef f():",
        ),
    ],
)
def test_how_a_model_is_asked(form: str, wanted: str) -> None:
    assert asked("def f():\n", form, Vocabulary.read(TINY)).endswith(wanted)


def run_stage(out: Path, limit: int) -> dict:
    words = ["--model", TINY, "--limit", limit, "--new", 16, "--threads", 1, "--seconds", 60, "--out", out]
    args = parser_of("humaneval").parse_args([str(word) for word in words])
    stage.main(args, Progress("humaneval", silent=True))
    return json.loads((out / "humaneval.json").read_text())


def test_the_stage_judges_what_a_model_writes(tmp_path: Path) -> None:
    """The tiny target solves nothing; that it wrote, and why each answer failed, is told."""
    result = run_stage(tmp_path, 2)
    assert (result["pass_at_1"], result["passed"], result["problems"]) == (0, 0, 2)
    assert list(result["by_problem"]) == ["HumanEval/0", "HumanEval/82"]
    assert all(one["reason"] != "passed" for one in result["by_problem"].values())
    assert any(one["completion"] for one in result["by_problem"].values())


def test_the_stage_counts_what_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {problem["prompt"].rstrip(): problem["canonical_solution"] for problem in humaneval()}

    def every_other(model: object, vocabulary: object, prompts: list[str], *_: object) -> list[str]:
        return [answers[prompt] if n % 2 else "    return None\n" for n, prompt in enumerate(prompts)]

    monkeypatch.setattr(stage, "complete", every_other)
    result = run_stage(tmp_path, 4)
    assert (result["pass_at_1"], result["passed"]) == (0.5, 2)
    assert [one["passed"] for one in result["by_problem"].values()] == [False, True, False, True]
