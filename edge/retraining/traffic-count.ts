/** How much traffic was captured: told by the batches' own notes in the bucket, without reading them. */

const DAY_MS = 86_400_000;
const dayOf = (time: number): string => new Date(time).toISOString().slice(0, 10);

/** Requests in batches that were written from `since` to before `until`, ISO 8601. */
export async function countTraffic(bucket: R2Bucket, since: string, until: string): Promise<number> {
  const [from, to] = [Date.parse(since), Date.parse(until)];
  let requests = 0;
  // A batch of the evening may be written past midnight, so its day begins the one before.
  for (let day = Math.floor(from / DAY_MS) * DAY_MS - DAY_MS; day <= to; day += DAY_MS) {
    let cursor: string | undefined;
    do {
      const page = await bucket.list({
        prefix: `traffic/${dayOf(day)}/`,
        include: ["customMetadata"],
        ...(cursor !== undefined && { cursor }),
      });
      for (const { uploaded, customMetadata } of page.objects) {
        if (uploaded.getTime() >= from && uploaded.getTime() < to)
          requests += Number(customMetadata?.requests ?? 0) || 0;
      }
      cursor = page.truncated ? page.cursor : undefined;
    } while (cursor !== undefined);
  }
  return requests;
}
