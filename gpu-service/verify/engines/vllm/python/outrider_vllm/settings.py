"""What a request asks of sampling, as it travels in `SamplingParams.extra_args["outrider"]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KEY = "outrider"


@dataclass(frozen=True)
class Sampling:
    """The field names are those of the link's frames; applied in this order: penalties, bias, temperature, top-k,
    top-p, min-p."""

    temperature: float
    seed: int
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    confirmed: int = 0
    """How many ids at the prompt's end count as output: those that another replica had confirmed."""

    @property
    def has_penalties(self) -> bool:
        return self.presence_penalty != 0 or self.frequency_penalty != 0

    @property
    def is_truncated(self) -> bool:
        return self.top_k > 0 or self.top_p < 1 or self.min_p > 0

    @property
    def is_plain(self) -> bool:
        """Whether it is the argmax of the logits as they are."""
        return self.temperature == 0 and not self.has_penalties and not self.logit_bias


def stream_of(request: Any) -> int | None:
    """The stream of vLLM's request; None where it is none of ours."""
    fields = (request.sampling_params.extra_args or {}).get(KEY) if request.sampling_params else None
    return fields.get("stream") if fields else None


def read_sampling(fields: dict[str, Any]) -> Sampling:
    """Raises ValueError for what is no number, KeyError for a setting that is missing."""
    return Sampling(
        temperature=float(fields["temperature"]),
        seed=int(fields["seed"]),
        top_p=float(fields.get("top_p", 1)),
        top_k=int(fields.get("top_k", 0)),
        min_p=float(fields.get("min_p", 0)),
        presence_penalty=float(fields.get("presence_penalty", 0)),
        frequency_penalty=float(fields.get("frequency_penalty", 0)),
        logit_bias=tuple((int(token), float(bias)) for token, bias in fields.get("logit_bias", ())),
        confirmed=int(fields.get("confirmed", 0)),
    )
