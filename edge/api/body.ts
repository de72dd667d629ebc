/** A response body that is made as its reader takes it. */

/** Proxies cut a connection on which nothing moves. */
const KEEP_ALIVE_MS = 7_500;
const encoder = new TextEncoder();

/**
 * A slow reader holds the maker of `pieces` back instead of filling a buffer: a piece is asked for when the one before
 * it was taken. `keepAlive` is sent after 7.5 to 15 s without a piece. A throw of the maker breaks the connection off;
 * `abort` is called for that, and when the reader leaves.
 */
export function writtenBody(
  pieces: AsyncGenerator<string, void>,
  keepAlive: string,
  abort: () => void,
): ReadableStream<Uint8Array> {
  // Costs less per token than a stream that is pulled: the bytes pass no queue in JavaScript.
  const { readable, writable } = new IdentityTransformStream();
  const writer: WritableStreamDefaultWriter<Uint8Array> = writable.getWriter();
  const write = (text: string) => writer.write(encoder.encode(text));
  let isWaiting = true;
  /** Waits since before the last tick. One timer for the whole body: one for each piece costs more than the piece. */
  let isLate = false;
  const timer = setInterval(() => {
    if (isLate && isWaiting) write(keepAlive).catch(abort);
    isLate = true;
  }, KEEP_ALIVE_MS);
  const writeAll = async () => {
    for await (const piece of pieces) {
      isWaiting = false;
      await write(piece);
      isWaiting = true;
      isLate = false;
    }
    await writer.close();
  };
  writer.closed.catch(abort);
  writeAll()
    .catch(async (error: unknown) => {
      abort();
      await writer.abort(error).catch(() => {});
    })
    .finally(() => clearInterval(timer));
  return readable;
}
