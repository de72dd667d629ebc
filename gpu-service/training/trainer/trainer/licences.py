"""Licences by their SPDX names: what packages say about themselves, and which are allowed into a corpus."""

from __future__ import annotations

import re
from importlib.metadata import PackageMetadata

PERMISSIVE = (
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-3-Clause-Clear", "BSL-1.0", "CC-BY-4.0", "CC0-1.0",
    "HPND", "ISC", "MIT", "MIT-0", "NCSA", "PSF-2.0", "PostgreSQL", "Public-Domain", "Python-2.0", "Unlicense",
    "UPL-1.0", "ZPL-2.1", "Zlib",
)  # fmt: skip
"""What `permissive` stands for."""

WRITTEN_OTHERWISE = {
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "the mit license (mit)": "MIT",
    "public domain": "Public-Domain",
    "publicdomain": "Public-Domain",
    "psf": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
    "gnu general public license v3 (gplv3)": "GPL-3.0-only",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
}
BY_LOWER_CASE = {name.lower(): name for name in PERMISSIVE}
LONGEST_NAME = 60
"""Characters of a metadata field beyond which it is the licence's text, not its name."""


def spdx(text: str) -> str:
    """The SPDX name of what somebody wrote; unchanged where it is none of the usual spellings."""
    plain = " ".join(text.split())
    lower = plain.lower()
    return BY_LOWER_CASE.get(lower) or WRITTEN_OTHERWISE.get(lower) or plain


def of_package(metadata: PackageMetadata) -> str | None:
    """By its licence expression, else its classifiers, else the old free field."""
    if "License-Expression" in metadata:
        return metadata["License-Expression"].strip()
    classified = [c.split("::")[-1] for c in metadata.get_all("Classifier", []) if c.startswith("License ::")]
    names = sorted({spdx(name.strip()) for name in classified if name.strip() != "OSI Approved"})
    if names:
        return " OR ".join(names)
    free = metadata["License"].strip() if "License" in metadata else ""
    return spdx(free) if 0 < len(free) <= LONGEST_NAME and "\n" not in free else None


def expand(names: list[str]) -> frozenset[str]:
    """A list of allowed licences, `permissive` spelt out, in lower case."""
    whole = [name for given in names for name in (PERMISSIVE if given == "permissive" else [given])]
    return frozenset(name.lower() for name in [*whole, *(["permissive"] if "permissive" in names else [])])


def allowed(licence: str | None, names: frozenset[str]) -> bool:
    """Every licence joined by AND must be allowed, one of those joined by OR. What has no licence is not allowed."""
    if not licence:
        return False
    choices = re.split(r"\s+OR\s+", licence.replace("(", " ").replace(")", " "))
    return any(
        all(spdx(part).lower() in names for part in re.split(r"\s+(?:AND|WITH)\s+|,\s*", choice.strip()))
        for choice in choices
    )
