/** An S3 bucket in memory over HTTP, path style: PUT (with If-None-Match), GET, DELETE, list. Keeps the order of writes. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type FakeS3 = {
  endpoint: string;
  objects: Map<string, Buffer>;
  /** Keys of successful writes, in order; of removals, too. */
  writes: string[];
  removals: string[];
  /** When every object was last written, in ms; now when absent. */
  modified: Map<string, number>;
  /** Called before a write; throwing cuts the connection. */
  beforeWrite: (key: string) => void;
  /** Awaited before a removal. */
  beforeRemoval: (key: string) => Promise<void>;
  close(): void;
};

export async function startFakeS3(bucket: string): Promise<FakeS3> {
  const fake: FakeS3 = {
    endpoint: "",
    objects: new Map(),
    writes: [],
    removals: [],
    modified: new Map(),
    beforeWrite: () => {},
    beforeRemoval: async () => {},
    close: () => server.close(),
  };
  const server = createServer((request, response) => {
    void readBody(request).then((body) => answer(fake, bucket, request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  fake.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return fake;
}

async function answer(
  fake: FakeS3,
  bucket: string,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
) {
  const url = new URL(request.url ?? "/", "http://fake");
  const path = decodeURIComponent(url.pathname);
  const key = path.slice(`/${bucket}/`.length);
  if (request.method === "PUT") {
    try {
      fake.beforeWrite(key);
    } catch {
      return request.socket.destroy();
    }
    if (request.headers["if-none-match"] === "*" && fake.objects.has(key)) {
      return fail(response, 412, "PreconditionFailed");
    }
    fake.objects.set(key, body);
    fake.writes.push(key);
    return response.writeHead(200, { etag: '"x"' }).end();
  }
  if (request.method === "DELETE") {
    await fake.beforeRemoval(key);
    fake.objects.delete(key);
    fake.removals.push(key);
    return response.writeHead(204).end();
  }
  if (url.searchParams.has("list-type")) return list(fake, url.searchParams.get("prefix") ?? "", response);
  const object = fake.objects.get(key);
  if (!object) return fail(response, 404, "NoSuchKey");
  response.writeHead(200, { "content-length": object.length }).end(object);
}

function list(fake: FakeS3, prefix: string, response: ServerResponse) {
  const keys = [...fake.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  const contents = keys.map((key) => {
    const modified = new Date(fake.modified.get(key) ?? Date.now()).toISOString();
    const size = fake.objects.get(key)?.length;
    return `<Contents><Key>${key}</Key><Size>${size}</Size><LastModified>${modified}</LastModified></Contents>`;
  });
  response.writeHead(200, { "content-type": "application/xml" });
  response.end(`<ListBucketResult><IsTruncated>false</IsTruncated>${contents.join("")}</ListBucketResult>`);
}

function fail(response: ServerResponse, status: number, code: string) {
  response.writeHead(status, { "content-type": "application/xml" });
  response.end(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
