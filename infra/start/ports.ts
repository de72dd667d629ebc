/** TCP ports on the loopback interface. */
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { StartError } from "./errors.ts";

export type Ports = { edge: number; verifier: number; training: number };

const DEFAULTS: Ports = { edge: 8787, verifier: 8788, training: 8789 };
/** Linux gives connections those from 32,768 on, others those from 49,152. */
const FREE_PORTS = { from: 20_000, to: 32_768 };
/** No port is given twice by one process: a service may be about to listen on it. */
const given = new Set<number>();
const VARIABLES: Record<keyof Ports, string> = {
  edge: "OUTRIDER_PORT",
  verifier: "OUTRIDER_VERIFIER_PORT",
  training: "OUTRIDER_TRAINING_PORT",
};

/** The ports of `npm start`: fixed, so that addresses stay the same from start to start. Throws where one is taken. */
export async function fixedPorts(env: NodeJS.ProcessEnv): Promise<Ports> {
  const ports = { ...DEFAULTS };
  for (const [name, variable] of Object.entries(VARIABLES) as [keyof Ports, string][]) {
    ports[name] = readPort(variable, env[variable], DEFAULTS[name]);
    if (!(await isFree(ports[name]))) {
      throw new StartError(
        `Port ${ports[name]} is in use by another program. Stop it, or choose another port for the ${name}: ` +
          `${variable}=${ports[name] + 100} npm start`,
      );
    }
  }
  return ports;
}

/** A free port for each service. */
export async function freePorts(): Promise<Ports> {
  const [edge, verifier, training] = await Promise.all([freePort(), freePort(), freePort()]);
  return { edge, verifier, training };
}

function readPort(variable: string, text: string | undefined, otherwise: number): number {
  if (text === undefined || text === "") return otherwise;
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new StartError(`${variable}=${text} is not a port: expected a number from 1 to 65535.`);
}

/**
 * A port that nothing listens on now, and that nothing will take before its service does: it is below those that a
 * system gives to connections, and drawn, so that two systems that start at the same time hardly meet.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FREE_PORTS.from, FREE_PORTS.to);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}

/** Listens for a moment to see. */
const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
