"""The official OpenAI package for Python against a running service; prints what it got as one JSON object."""

import json
import sys

import openai

END_FORBIDDEN = {"0": -100, "2": -100}


def main(base_url: str, key: str, model: str) -> None:
    client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)
    settings = {"model": model, "max_tokens": 24, "seed": 7, "temperature": 0.8, "logit_bias": END_FORBIDDEN}
    whole = client.completions.create(prompt="def add(a, b):\n", **settings)
    chunks = list(client.completions.create(prompt="def add(a, b):\n", stream=True, **settings))
    several = client.completions.create(prompt=["a", "b"], n=2, echo=True, logprobs=1, **settings)
    messages = [{"role": "user", "content": "What is a list?"}]
    chat = client.chat.completions.create(messages=messages, logprobs=True, top_logprobs=2, **settings)
    deltas = list(client.chat.completions.create(messages=messages, stream=True, **settings))
    print(
        json.dumps(
            {
                "models": [one.id for one in client.models.list()],
                "text": whole.choices[0].text,
                "usage": whole.usage.model_dump(exclude_none=True),
                "streamed": "".join(chunk.choices[0].text for chunk in chunks),
                "finish": chunks[-1].choices[0].finish_reason,
                "several": [choice.text for choice in several.choices],
                "first_logprobs": [choice.logprobs.token_logprobs[0] for choice in several.choices],
                "chat": chat.choices[0].message.content,
                "chat_logprobs": [len(one.top_logprobs) for one in chat.choices[0].logprobs.content],
                "chat_streamed": "".join(chunk.choices[0].delta.content or "" for chunk in deltas),
                "refusals": [refusal(client, model, temperature=9), refusal(client, "none")],
                "stranger": stranger(base_url, model),
            }
        )
    )


def refusal(client: openai.OpenAI, model: str, **fields: object) -> list[object]:
    try:
        client.completions.create(model=model, prompt="x", **fields)
    except openai.APIStatusError as error:
        return [type(error).__name__, error.param]
    return []


def stranger(base_url: str, model: str) -> str:
    try:
        openai.OpenAI(base_url=base_url, api_key="sk-wrong", max_retries=0).completions.create(model=model, prompt="x")
    except openai.APIStatusError as error:
        return type(error).__name__
    return ""


if __name__ == "__main__":
    main(*sys.argv[1:])
