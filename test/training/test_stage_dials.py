"""The training service refuses a dial that no stage has: what it knows of them must be what the stages say."""

import json
from pathlib import Path

from stage_dials import stage_dials

KNOWN = Path(__file__).parents[2] / "gpu-service" / "training" / "jobs" / "stage-dials.json"


def test_the_service_knows_every_dial_of_every_stage() -> None:
    assert json.loads(KNOWN.read_text()) == stage_dials(), "run test/training/stage_dials.py > stage-dials.json"
