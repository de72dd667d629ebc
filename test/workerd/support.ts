/// <reference types="@cloudflare/vitest-plugin/types" />
/** The worker with a scripted verifier, a target in the bucket and a key: what the tests of the edge share. */
import { createExecutionContext, env as testEnv } from "cloudflare:test";
import { vi } from "vitest";
import apiKeys from "../../edge/accounts/migrations/0001_api_keys.sql?raw";
import keyTerms from "../../edge/accounts/migrations/0002_key_terms.sql?raw";
import traffic from "../../edge/accounts/migrations/0004_traffic.sql?raw";
import type { Env } from "../../edge/config.ts";
import worker from "../../edge/worker.ts";
import {
  sealEnvelope,
  sha256Hex,
  type TrustedKey,
  targetObjectKey,
} from "../../gpu-service/protocol/manifest.ts";
import { toBase64Url } from "../../gpu-service/protocol/token.ts";
import { targetManifest, tokenizerConfig, tokenizerJson } from "../support/byte-tokenizer.ts";
import type { ScriptedVerifier } from "../support/scripted-verifier.ts";

export const TARGET = "test-target";
export const ADMIN_SECRET = "admin-secret-for-tests";
export const LINK_SECRET = "link-secret-for-tests, 32 characters";
export const testKeys = (await crypto.subtle.generateKey("Ed25519", true, [
  "sign",
  "verify",
])) as CryptoKeyPair;
const raw = (await crypto.subtle.exportKey("raw", testKeys.publicKey)) as ArrayBuffer;
const trusted: TrustedKey[] = [{ id: "test", public_key: toBase64Url(new Uint8Array(raw)) }];

export const env = {
  ...(testEnv as unknown as Env),
  TARGET,
  VERIFIER_URLS: "wss://verifier-a.test:1,wss://verifier-b.test:1",
  LINK_KEY_ID: "link",
  LINK_SECRET: LINK_SECRET,
  TRUSTED_KEYS: JSON.stringify(trusted),
  ADMIN_SECRET,
  TEST_HINTS: "1",
  LINK: "own",
};

export const toBytes = (text: string) => Uint8Array.from(new TextEncoder().encode(text));

/** Puts the target's text assets into the bucket. */
export async function publishTarget(): Promise<void> {
  const tokenizer = toBytes(JSON.stringify(tokenizerJson));
  const payload = JSON.stringify(targetManifest(await sha256Hex(tokenizer), tokenizer.length));
  const manifest = await sealEnvelope("manifest", payload, "test", testKeys.privateKey);
  await env.RELEASES.put(targetObjectKey(TARGET, "tokenizer.json"), tokenizer);
  await env.RELEASES.put(targetObjectKey(TARGET, "tokenizer_config.json"), JSON.stringify(tokenizerConfig));
  await env.RELEASES.put(targetObjectKey(TARGET, "manifest.json"), JSON.stringify(manifest));
}

export async function migrate(): Promise<void> {
  for (const statement of `${apiKeys}${keyTerms}${traffic}`.replaceAll(/--.*/g, "").split(";")) {
    if (statement.trim()) await env.DB.prepare(statement).run();
  }
}

/** Every WebSocket that the worker opens ends at the scripted verifier. */
export function routeLinksTo(verifier: ScriptedVerifier) {
  return vi.spyOn(globalThis, "fetch").mockImplementation(async () => {
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    const connection = verifier.connect({
      send: (text) => server.send(text),
      close: () => server.close(1011),
    });
    server.addEventListener("message", (event) => connection.receive(event.data as string));
    server.addEventListener("close", () => connection.close());
    return new Response(null, { status: 101, webSocket: client });
  });
}

type Init = {
  method?: string;
  key?: string;
  headers?: Record<string, string>;
  body?: unknown;
  signal?: AbortSignal;
  /** The data centre that the request comes in by. */
  colo?: string;
};

export function call(
  path: string,
  { method, key, headers, body, signal, colo }: Init = {},
): Promise<Response> {
  const request = new Request(`http://outrider.test${path}`, {
    method: method ?? (body === undefined ? "GET" : "POST"),
    headers: { ...(key && { authorization: `Bearer ${key}` }), ...headers },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    ...(signal && { signal }),
    ...(colo !== undefined && { cf: { colo } }),
  });
  return Promise.resolve(worker.fetch(request, env, createExecutionContext()));
}

export async function newKey(name = "test", terms: object = {}): Promise<{ id: string; key: string }> {
  const response = await call("/admin/keys", { key: ADMIN_SECRET, body: { name, ...terms } });
  if (response.status !== 201) throw new Error(`no key: ${response.status} ${await response.text()}`);
  return response.json();
}

/** Waits until `check` passes: long enough for a machine that is busy with other things. */
export const eventually = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, 20_000);

/** The data of every server-sent event, `[DONE]` included. */
export async function events(response: Response): Promise<string[]> {
  return (await response.text())
    .split("\n\n")
    .filter((event) => event !== "")
    .map((event) => {
      if (!event.startsWith("data: ")) throw new Error(`not an event: ${event}`);
      return event.slice("data: ".length);
    });
}
