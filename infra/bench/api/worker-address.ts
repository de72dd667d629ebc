/** Where the Worker itself listens, behind what wrangler puts in front of it. Linux only. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { StartError } from "../../start/errors.ts";

const LISTENS = "0A";

/** Base address of the Worker that runs in process `pid`. Throws StartError where none of its ports answers as one. */
export async function findAddress(pid: number): Promise<string> {
  for (const port of listeningPorts(pid)) {
    const address = `http://127.0.0.1:${port}`;
    if (await isWorker(address)) return address;
  }
  throw new StartError(`process ${pid} has no port at which the Worker answers`);
}

/** By the system's accounts: sockets that listen on IPv4, and which of them the process holds. */
function listeningPorts(pid: number): number[] {
  const held = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => socketOf(`/proc/${pid}/fd/${fd}`)));
  const rows = readFileSync("/proc/net/tcp", "utf8").split("\n").slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTENS && held.has(fields[9]))
    .map((fields) => Number.parseInt(fields[1]!.split(":")[1]!, 16));
}

function socketOf(path: string): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(path))?.[1];
  } catch {
    // Closed since it was listed.
    return undefined;
  }
}

async function isWorker(address: string): Promise<boolean> {
  try {
    const answer: unknown = await (await fetch(`${address}/healthz`)).json();
    return typeof answer === "object" && answer !== null && "status" in answer && answer.status === "ok";
  } catch {
    return false;
  }
}
