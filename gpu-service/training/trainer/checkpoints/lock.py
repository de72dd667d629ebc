"""One process at a time at a target of a models folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(models: Path, target_id: str) -> Iterator[None]:
    """Waits for another process that is at the target; the system frees the lock of one that dies."""
    models.mkdir(parents=True, exist_ok=True)
    with (models / f".{target_id}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
