"""lm-eval's `local-completions` against a running service; prints what it scored and generated as one JSON object."""

import json
import sys
from pathlib import Path

from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI


def main(base_url: str, model: str, tokenizer: str, cases: str) -> None:
    pairs = [(case["context"], case["continuation"]) for case in json.loads(Path(cases).read_text())]
    scored = {}
    for name, settings in (("alone", {}), ("batched", {"batch_size": 4, "num_concurrent": 2})):
        api = LocalCompletionsAPI(
            base_url=f"{base_url}/completions",
            model=model,
            tokenizer=tokenizer,
            tokenizer_backend="huggingface",
            max_length=500,
            **settings,
        )
        scored[name] = api.loglikelihood([instance("loglikelihood", pair, i) for i, pair in enumerate(pairs)])
        until = {"until": ["\n\n"], "max_gen_toks": 20, "do_sample": False}
        scored[f"{name}_text"] = api.generate_until([instance("generate_until", ("import os\n", until), 0)])
    print(json.dumps(scored))


def instance(kind: str, arguments: tuple[object, ...], index: int) -> Instance:
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=index)


if __name__ == "__main__":
    main(*sys.argv[1:])
