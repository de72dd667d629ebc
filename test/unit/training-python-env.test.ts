import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { explainPip } from "../../gpu-service/training/launchers/pip-errors.ts";
import { ensurePythonEnv, type PythonEnvWish } from "../../gpu-service/training/launchers/python-env.ts";
import {
  chooseTorchBuild,
  splitTorchPin,
  torchRequirements,
} from "../../gpu-service/training/launchers/torch-build.ts";
import { temporaryFolder } from "../support/training-folder.ts";

/**
 * An interpreter made of shell: makes environments that hold itself, and a pip that notes what it is asked for.
 * `offers`: a pattern of the requirements that its index has.
 */
function fakePython({ version = "3 12", venv = "ok", offers = "*" } = {}) {
  const folder = temporaryFolder();
  const path = join(folder, "python");
  const asked = join(folder, "asked");
  const makeVenv = venv === "ok" ? `mkdir -p "$3/bin" && cp "$0" "$3/bin/python"` : `echo "${venv}"; exit 1`;
  writeFileSync(
    path,
    `#!/bin/sh
case "$1$2" in
  -cimport*) echo ${version} ;;
  -mvenv) ${makeVenv} ;;
  -mpip)
    for last; do :; done
    echo "$*" >> ${asked}
    case "$last" in
      torch==*) case "$last" in ${offers}) ;; *) echo "ERROR: No matching distribution found for $last"; exit 1 ;; esac ;;
    esac ;;
esac
`,
  );
  chmodSync(path, 0o755);
  const requests = () => (existsSync(asked) ? readFileSync(asked, "utf8").trim().split("\n") : []);
  const requirements = join(folder, "requirements.txt");
  writeFileSync(requirements, "# pins\ntorch==2.13.0  # chosen by build\nnumpy==2.3.5\n");
  const lines: string[] = [];
  const wish: PythonEnvWish = { folder: join(folder, "venv"), requirements, python: path, torch: "cpu" };
  const shell = {
    log: (line: string) => lines.push(line),
    step: () => {},
    signal: new AbortController().signal,
  };
  return { wish, shell, lines, requests };
}

test("an environment is made once, and again when its pins or its torch change", async () => {
  const { wish, shell, requests, lines } = fakePython();
  const python = await ensurePythonEnv(wish, shell);
  expect(python).toBe(join(wish.folder, "bin/python"));
  expect(lines.join("\n")).toContain("torch: the CPU build (OUTRIDER_TORCH=cpu)");
  expect(requests()).toHaveLength(2);
  await ensurePythonEnv(wish, shell);
  expect(requests()).toHaveLength(2);
  await ensurePythonEnv({ ...wish, torch: "gpu" }, shell);
  expect(requests()).toHaveLength(4);
  writeFileSync(wish.requirements, "torch==2.13.0\nnumpy==2.3.6\n");
  await ensurePythonEnv({ ...wish, torch: "gpu" }, shell);
  expect(requests()).toHaveLength(6);
});

test.runIf(process.platform === "linux")("the CPU build comes from where it is offered", async () => {
  const { wish, shell, requests } = fakePython();
  await ensurePythonEnv({ ...wish, torchIndexUrl: "https://index.test/cpu" }, shell);
  expect(requests()[0]).toMatch(
    /-c .*requirements.txt --extra-index-url https:\/\/index.test\/cpu torch==2.13.0\+cpu$/,
  );
  expect(requests()[1]).toMatch(/-r .*requirements.txt$/);
});

test.runIf(process.platform === "linux")(
  "where no CPU build is offered, the CUDA build is announced",
  async () => {
    const { wish, shell, requests, lines } = fakePython({ offers: "torch==2.13.0" });
    await ensurePythonEnv(wish, shell);
    expect(requests().map((line) => line.split(" ").at(-1))).toContain("torch==2.13.0");
    expect(lines.join("\n")).toMatch(/WARNING: .*torch==2.13.0\+cpu.*CUDA build, several GB/);
  },
);

test("two who want the same environment at once: one makes it, the other waits", async () => {
  const { wish, shell, requests, lines } = fakePython();
  const [left, right] = await Promise.all([ensurePythonEnv(wish, shell), ensurePythonEnv(wish, shell)]);
  expect(left).toBe(right);
  expect(requests()).toHaveLength(2);
  expect(lines.filter((line) => line.startsWith("Waiting for another process"))).toHaveLength(1);
});

test("an environment whose making was cut off is made anew", async () => {
  const { wish, shell, requests } = fakePython({ offers: "nothing" });
  await expect(ensurePythonEnv(wish, shell)).rejects.toThrow(/pip install .*torch==2.13.0/);
  const made = requests().length;
  await expect(ensurePythonEnv(wish, shell)).rejects.toThrow(
    "no index that pip is configured with offers it",
  );
  expect(requests().length).toBe(made * 2);
});

test.each([
  [{ version: "3 8" }, /Python 3.11 or newer is needed \(found only: .*python is 3.8\)/],
  [{ version: "" }, /Python 3.11 or newer is needed \(looked for .*python\)/],
  [{ venv: "No module named ensurepip" }, /install its venv package \(Debian: python3-venv\)/],
  [{ venv: "OSError: No space left on device" }, /the disk is full/],
])("what is missing is said (%#)", async (fake, message) => {
  const { wish, shell } = fakePython(fake);
  await expect(ensurePythonEnv(wish, shell)).rejects.toThrow(message);
});

test.each([
  [{ wanted: "gpu", hasNvidia: false, platform: "linux" }, "gpu"],
  [{ wanted: "cpu", hasNvidia: true, platform: "linux" }, "cpu"],
  [{ wanted: undefined, hasNvidia: true, platform: "linux" }, "gpu"],
  [{ wanted: undefined, hasNvidia: false, platform: "linux" }, "cpu"],
  [{ wanted: undefined, hasNvidia: false, platform: "darwin" }, "cpu"],
] as const)("the build of torch is chosen by what the machine has (%#)", (facts, build) => {
  expect(chooseTorchBuild(facts)).toMatchObject({ build, reason: expect.stringMatching(/./) });
});

test("what pip is asked for", () => {
  expect(torchRequirements("torch==2.13.0", "cpu", "linux")).toEqual(["torch==2.13.0+cpu", "torch==2.13.0"]);
  expect(torchRequirements("torch==2.13.0", "cpu", "darwin")).toEqual(["torch==2.13.0"]);
  expect(torchRequirements("torch==2.13.0", "gpu", "linux")).toEqual(["torch==2.13.0"]);
  expect(() => torchRequirements("torch>=2", "gpu", "linux")).toThrow('"torch>=2" does not pin torch');
  expect(splitTorchPin("a==1\n# torch==9\ntorch==2 # x\n")).toEqual({ torch: "torch==2", others: "a==1" });
});

test.each([
  ["ERROR: Could not install: [Errno 28] No space left on device", /^the disk is full/],
  ["NewConnectionError: Temporary failure in name resolution", /^the package index cannot be reached/],
  ["ERROR: something else", /^ERROR: something else$/],
])("pip's failures in words (%#)", (output, message) => {
  expect(explainPip(output)).toMatch(message);
});
