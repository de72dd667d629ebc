import { createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { fixedPorts, freePort, freePorts } from "../../../infra/start/ports.ts";

describe("free ports", () => {
  it("are all different, however many are asked for at once", async () => {
    const ports = await Promise.all(Array.from({ length: 200 }, freePort));
    expect(new Set(ports).size).toBe(200);
  });

  it("are none that the system gives to connections", async () => {
    const ports = (await Promise.all(Array.from({ length: 50 }, freePorts))).flatMap(Object.values);
    for (const port of ports) expect(port).toSatisfy((n: number) => n >= 1024 && n < 32_768);
  });
});

describe("the fixed ports", () => {
  const server = createServer();
  afterEach(() => server.close());

  it("may be chosen; one that is taken is named, and how to choose another", async () => {
    const { edge, verifier, training } = await freePorts();
    const env = { OUTRIDER_PORT: `${edge}`, OUTRIDER_VERIFIER_PORT: `${verifier}` };
    const all = { ...env, OUTRIDER_TRAINING_PORT: `${training}` };
    expect(await fixedPorts(all)).toEqual({ edge, verifier, training });
    await new Promise<void>((resolve) => server.listen(verifier, "127.0.0.1", resolve));
    await expect(fixedPorts(all)).rejects.toThrow(`OUTRIDER_VERIFIER_PORT=${verifier + 100} npm start`);
    await expect(fixedPorts({ OUTRIDER_PORT: "70000" })).rejects.toThrow("OUTRIDER_PORT=70000 is not a port");
  });
});
