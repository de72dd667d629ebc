/** A bad network for hand-made tests: `node infra/network/main.ts --listen 9000 --to 127.0.0.1:8788 --delay-ms 15`. */
import { parseArgs } from "node:util";
import { type Address, NetworkProxy, type ProxyOptions } from "./proxy.ts";

const USAGE = `node infra/network/main.ts --listen [HOST:]PORT --to [HOST:]PORT
  --delay-ms N       each way
  --jitter-ms N      up to so much more, for each chunk
  --kbit-per-s N     each way; 0: without bound
  --loss SHARE       chance from 0 to 1 that a chunk is lost, which stalls what is behind it
  --loss-stall-ms N  for so long
  --seed N           repeats a run's jitter and losses`;

try {
  const proxy = await NetworkProxy.listen(readOptions());
  console.log(`listening on port ${proxy.port}; Ctrl-C ends`);
  process.once("SIGINT", () => {
    const { connections, up, down } = proxy.traffic;
    console.log(`${connections} connections, ${up} bytes up, ${down} bytes down`);
    void proxy.close();
  });
} catch (error) {
  console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
  process.exitCode = 2;
}

function readOptions(): ProxyOptions {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: {
      ...{ listen: text, to: text, seed: text },
      ...{ "delay-ms": text, "jitter-ms": text, "kbit-per-s": text, loss: text, "loss-stall-ms": text },
    },
  });
  const number = (name: keyof typeof values, otherwise: number, most = Number.MAX_SAFE_INTEGER) => {
    const value = values[name] === undefined ? otherwise : Number(values[name] || Number.NaN);
    if (value >= 0 && value <= most) return value;
    throw new Error(`--${name} ${values[name]}: expected a number from 0${most === 1 ? " to 1" : ""}`);
  };
  return {
    listen: readAddress("--listen", values.listen),
    to: readAddress("--to", values.to),
    seed: number("seed", 1),
    conditions: {
      delayMs: number("delay-ms", 0),
      jitterMs: number("jitter-ms", 0),
      kbitPerS: number("kbit-per-s", 0),
      lossShare: number("loss", 0, 1),
      lossStallMs: number("loss-stall-ms", 200),
    },
  };
}

function readAddress(name: string, text = ""): Address {
  const [, host = "127.0.0.1", port] = /^(?:(.+):)?(\d{1,5})$/.exec(text) ?? [];
  if (!port || Number(port) > 65_535) throw new Error(`${name} ${text}: expected PORT or HOST:PORT`);
  return { host, port: Number(port) };
}
