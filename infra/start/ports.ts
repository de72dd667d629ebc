/** TCP ports on the loopback interface. */
import { createServer } from "node:net";
import { StartError } from "./errors.ts";

export type Ports = { edge: number; verifier: number; training: number };

const DEFAULTS: Ports = { edge: 8787, verifier: 8788, training: 8789 };
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

/** Ports that nothing listens on now. */
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

export function freePort(): Promise<number> {
  return listen(0);
}

const isFree = (port: number): Promise<boolean> =>
  listen(port).then(
    () => true,
    () => false,
  );

/** Listens for a moment; resolves to the port that was bound. */
function listen(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      const bound = typeof address === "object" && address ? address.port : port;
      server.close(() => resolve(bound));
    });
  });
}
