/** A response body that is made as its reader takes it. */

/** Proxies cut a connection on which nothing moves. */
const KEEP_ALIVE_MS = 7_500;

/**
 * Pulled by the reader: a slow one holds the maker of `pieces` back instead of filling a buffer. `keepAlive` is sent
 * after 7.5 to 15 s without a piece. A throw of the maker breaks the connection off; `abort` is called when the reader
 * leaves.
 */
export function pulledBody(
  pieces: AsyncGenerator<string, void>,
  keepAlive: string,
  abort: () => void,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let timer: ReturnType<typeof setInterval>;
  let isWaiting = false;
  /** Waits since before the last tick. One timer for the whole body: one for each piece costs more than the piece. */
  let isLate = false;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      timer = setInterval(() => {
        if (isLate && isWaiting) controller.enqueue(encoder.encode(keepAlive));
        isLate = true;
      }, KEEP_ALIVE_MS);
    },
    async pull(controller) {
      isWaiting = true;
      isLate = false;
      try {
        const { value, done } = await pieces.next();
        isWaiting = false;
        if (!done) return controller.enqueue(encoder.encode(value));
        clearInterval(timer);
        controller.close();
      } catch (error) {
        clearInterval(timer);
        throw error;
      }
    },
    cancel() {
      clearInterval(timer);
      abort();
    },
  });
}
