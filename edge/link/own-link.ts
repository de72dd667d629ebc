/** A link of the request's own: one WebSocket, one sequence on it. */
import type { LinkKey } from "../../gpu-service/protocol/token.ts";
import { offerOf } from "../../gpu-service/protocol/versions.ts";
import { encodeEdgeFrame, parseVerifierFrame } from "../../gpu-service/protocol/wire.ts";
import { tokenFor } from "./credentials.ts";
import type { Sequence, SequenceSink, VerifierLink } from "./link.ts";
import { connect, VerifierSocket } from "./socket.ts";

const STREAM = 1;

/** `url`: ws:// or wss:// of the verifier. */
export function ownLink(url: string, key: LinkKey): VerifierLink {
  return {
    name: url,
    async open(request, sink) {
      const [accepting, token] = await Promise.all([connect(url), tokenFor(request, key)]);
      const socket = listen(accepting, sink);
      const open = { ...request, type: "open", stream: STREAM, ...offerOf(), token } as const;
      socket.send(encodeEdgeFrame(open));
      return sequenceOn(socket);
    },
  };
}

function listen(accepting: WebSocket, sink: SequenceSink): VerifierSocket {
  const socket = new VerifierSocket(accepting, {
    text(text) {
      const parsed = parseVerifierFrame(text);
      if (!parsed.ok) return socket.breakOff(`the verifier sent a bad ${parsed.message}`);
      const { frame } = parsed;
      if (frame.type === "opened") socket.send(encodeEdgeFrame({ type: "seen", stream: STREAM }));
      if (frame.type === "done" || frame.type === "error") socket.close();
      sink(frame);
    },
    broken: (message) => sink({ type: "broken", message }),
  });
  return socket;
}

const sequenceOn = (socket: VerifierSocket): Sequence => ({
  hint: (hint) => socket.send(encodeEdgeFrame({ ...hint, type: "hint", stream: STREAM })),
  cancel: () => socket.send(encodeEdgeFrame({ type: "cancel", stream: STREAM })),
  close: () => socket.close(),
});
