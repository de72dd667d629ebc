/** A response body that is made as its reader takes it. */

/** Proxies cut a connection on which nothing moves. */
const KEEP_ALIVE_MS = 15_000;

/**
 * Pulled by the reader: a slow one holds the maker of `pieces` back instead of filling a buffer. `keepAlive` is sent
 * while no piece is ready. A throw of the maker breaks the connection off; `abort` is called when the reader leaves.
 */
export function pulledBody(
  pieces: AsyncGenerator<string, void>,
  keepAlive: string,
  abort: () => void,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let pending: Promise<IteratorResult<string, void>> | undefined;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      pending ??= pieces.next();
      const next = await withinTime(pending, KEEP_ALIVE_MS);
      if (next === "late") return controller.enqueue(encoder.encode(keepAlive));
      pending = undefined;
      if (next.done) controller.close();
      else controller.enqueue(encoder.encode(next.value));
    },
    cancel() {
      abort();
    },
  });
}

async function withinTime<T>(work: Promise<T>, ms: number): Promise<T | "late"> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
