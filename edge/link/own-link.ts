/** A link of the request's own: one WebSocket, one sequence on it. */
import { type EdgeFrame, PROTOCOL_VERSION } from "../../gpu-service/protocol/frames.ts";
import { type LinkKey, MAX_TOKEN_LIFETIME_S, signToken } from "../../gpu-service/protocol/token.ts";
import { encodeEdgeFrame, parseVerifierFrame } from "../../gpu-service/protocol/wire.ts";
import {
  LinkError,
  type Sequence,
  type SequenceRequest,
  type SequenceSink,
  type VerifierLink,
} from "./link.ts";

const CONNECT_TIMEOUT_MS = 5_000;
/**
 * A replica that says nothing for one to two times as long is lost, though its socket may look open. Longer than a
 * place in its queue and the prefill of a long prompt take.
 */
const SILENCE_MS = 60_000;
const STREAM = 1;

/** `url`: ws:// or wss:// of the verifier. */
export function ownLink(url: string, key: LinkKey): VerifierLink {
  return {
    name: url,
    async open(request, sink) {
      const [socket, token] = await Promise.all([connect(url), tokenFor(request, key)]);
      const sequence = listen(socket, sink);
      // Only now: what came before there was a listener, a close among it, would be lost.
      socket.accept();
      send(socket, { ...request, type: "open", stream: STREAM, protocol: PROTOCOL_VERSION, token });
      return sequence;
    },
  };
}

/** Not accepted yet. Workers open a WebSocket by an HTTP request that asks for the upgrade. */
async function connect(url: string): Promise<WebSocket> {
  const address = new URL("/link", url.replace(/^ws/, "http"));
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(new Error("no answer")), CONNECT_TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetch(address, { headers: { Upgrade: "websocket" }, signal: timeout.signal });
  } catch (error) {
    throw new LinkError(`${url}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    // The signal goes on to rule the open socket: an AbortSignal.timeout would cut it off in mid-text.
    clearTimeout(timer);
  }
  const socket = response.webSocket;
  if (socket) return socket;
  await response.body?.cancel();
  throw new LinkError(`${url}: answered ${response.status} instead of opening a WebSocket`);
}

function tokenFor(request: SequenceRequest, key: LinkKey): Promise<string> {
  const iat = Math.floor(Date.now() / 1000);
  const claims = {
    aud: request.target,
    kid: key.id,
    tenant: request.tenant,
    nonce: crypto.randomUUID(),
    iat,
    exp: iat + MAX_TOKEN_LIFETIME_S / 2,
  };
  return signToken(claims, key.secret);
}

function listen(socket: WebSocket, sink: SequenceSink): Sequence {
  let live = true;
  let heard = true;
  const watch = setInterval(() => {
    if (!heard) breakOff(`the verifier has said nothing for ${SILENCE_MS / 1000} s`);
    heard = false;
  }, SILENCE_MS);
  const finish = () => {
    if (!live) return;
    live = false;
    clearInterval(watch);
    socket.close(1000);
  };
  const breakOff = (message: string) => {
    if (!live) return;
    finish();
    sink({ type: "broken", message });
  };
  socket.addEventListener("message", (event) => {
    if (!live) return;
    heard = true;
    if (typeof event.data !== "string") return breakOff("the verifier sent a binary message");
    const parsed = parseVerifierFrame(event.data);
    if (!parsed.ok) return breakOff(`the verifier sent a bad ${parsed.message}`);
    const { frame } = parsed;
    const ends = frame.type === "done" || frame.type === "error";
    if (ends) finish();
    if (frame.type === "opened") send(socket, { type: "seen", stream: STREAM });
    sink(frame);
  });
  socket.addEventListener("close", (event) => breakOff(`the verifier closed the link (${event.code})`));
  socket.addEventListener("error", () => breakOff("the link to the verifier failed"));
  return {
    hint: (hint) => live && send(socket, { ...hint, type: "hint", stream: STREAM }),
    cancel: () => live && send(socket, { type: "cancel", stream: STREAM }),
    close: finish,
  };
}

function send(socket: WebSocket, frame: EdgeFrame): void {
  try {
    socket.send(encodeEdgeFrame(frame));
  } catch {
    // The socket is closing: its close event follows and ends the sequence.
  }
}
