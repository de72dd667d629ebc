/** The edge's channel routes over HTTP, with a record in memory in place of the Durable Object. */
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { type ChannelHandle, channelRoutes } from "../../edge/releases/channel-routes.ts";
import { channelRecordSchema, openEnvelope, type TrustedKey } from "../../gpu-service/protocol/manifest.ts";

export type FakeChannel = {
  url: string;
  trusted: TrustedKey[];
  /** Called before a record is compared: what another writer does meanwhile. */
  beforePut: () => void | Promise<void>;
  /** Answers this many requests with 503. */
  outages: number;
  close(): void;
};

export async function startFakeChannel(adminSecret: string): Promise<FakeChannel> {
  const fake: FakeChannel = {
    url: "",
    trusted: [],
    beforePut: () => {},
    outages: 0,
    close: () => server.close(),
  };
  const app = new Hono();
  app.use(async (context, next) => (fake.outages-- > 0 ? context.text("restarting", 503) : next()));
  app.route(
    "/admin/channels",
    channelRoutes({ adminSecret, trusted: fake.trusted, now: Date.now, channel: memoryChannel(fake) }),
  );
  const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 });
  await new Promise<void>((resolve) => server.once("listening", resolve));
  fake.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return fake;
}

function memoryChannel(fake: FakeChannel): (target: string) => ChannelHandle {
  let now: Awaited<ReturnType<ChannelHandle["state"]>> = null;
  return () => ({
    state: async () => now,
    history: async () => [],
    async put({ envelope, expected, trusted }) {
      const opened = await openEnvelope("channel", envelope, trusted, channelRecordSchema);
      if (!opened.ok) return { kind: "untrusted", message: opened.message };
      await fake.beforePut();
      if (expected !== (now?.sequence ?? 0)) return { kind: "changed", message: "changed" };
      now = { sequence: opened.value.sequence, envelope };
      return { kind: "stored", sequence: now.sequence };
    },
  });
}
