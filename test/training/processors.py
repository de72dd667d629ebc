"""What tests may expect of the processor that they run on."""

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def single_rows_are_exact(weight_format: str) -> bool:
    """Whether a step of one row rounds like one of many: int4 only does with VNNI; elsewhere it is refused."""
    return weight_format != "int4" or not CPUINFO.is_file() or "vnni" in CPUINFO.read_text()
