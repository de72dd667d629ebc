/** The Python that environments are made from. */
import { SetupError } from "./launcher.ts";
import { runQuietly } from "./process.ts";

const OLDEST_PYTHON = [3, 11] as const;
const PYTHON_NAMES = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"];

/** The first on the PATH that is new enough, or the wanted one. Throws SetupError that says what was found. */
export async function findPython(wanted: string | undefined, signal: AbortSignal): Promise<string> {
  const seen: string[] = [];
  for (const name of wanted ? [wanted] : PYTHON_NAMES) {
    const { code, output } = await runQuietly(
      name,
      ["-c", "import sys; print(*sys.version_info[:2])"],
      signal,
    );
    const [major = 0, minor = 0] = output.trim().split(" ").map(Number);
    if (code !== 0 || !major) continue;
    if (major > OLDEST_PYTHON[0] || (major === OLDEST_PYTHON[0] && minor >= OLDEST_PYTHON[1])) return name;
    seen.push(`${name} is ${major}.${minor}`);
  }
  const found = seen.length
    ? `found only: ${seen.join(", ")}`
    : `looked for ${wanted ?? PYTHON_NAMES.join(", ")}`;
  throw new SetupError(
    `Python ${OLDEST_PYTHON.join(".")} or newer is needed (${found}). Install it, or name one by OUTRIDER_PYTHON.`,
  );
}
