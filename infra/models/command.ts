/** Running a command whose output matters only when it fails. */
import { spawn } from "node:child_process";

const TAIL_CHARACTERS = 4_000;
export type Outcome = { ok: boolean; output: string };

/**
 * Runs `command`; `output` is the end of what it wrote. With `show`, standard output goes to the terminal.
 * It does not outlive this process.
 */
export function run(
  command: string,
  args: readonly string[],
  options: { show?: boolean; env?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const stdout = options.show ? "inherit" : "pipe";
    const env = { ...process.env, ...options.env };
    const child = spawn(command, args, { stdio: ["ignore", stdout, "pipe"], env });
    let output = "";
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString("utf8")).slice(-TAIL_CHARACTERS);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    child.on("error", (error) => resolve({ ok: false, output: `${output}\n${error.message}` }));
    const endWithUs = () => child.kill();
    process.on("exit", endWithUs);
    child.on("close", (code) => {
      process.off("exit", endWithUs);
      resolve({ ok: code === 0, output });
    });
  });
}
