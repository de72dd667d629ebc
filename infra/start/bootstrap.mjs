/**
 * The door of `npm start` and `npm test`: runs on the machine's own Node, with no package installed.
 *
 * Installs the dependencies when they are missing or the lock file changed, then hands over to the real program on
 * the Node 22 that is one of them.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const OLDEST_NODE = 20;
/** As README has it: 1.1 GB of packages, and the models. */
const NEEDED_DISK_MIB = 2_000;
const PROGRAMS = { start: "infra/start/main.ts", test: "infra/check/test.ts" };
const root = fileURLToPath(new URL("../../", import.meta.url));
const pinnedNode = `${root}node_modules/.bin/node`;
const stampPath = `${root}node_modules/.outrider-lock-hash`;

const [name, ...args] = process.argv.slice(2);
const program = PROGRAMS[name];
if (!program) fail(`Unknown program "${name}": expected one of ${Object.keys(PROGRAMS).join(", ")}.`);
if (process.platform === "win32") fail("Outrider starts on Linux and macOS; on Windows, use WSL.");
if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  fail(
    `Node ${process.versions.node} is too old: install Node ${OLDEST_NODE} or newer (https://nodejs.org).`,
  );
}

await installDependencies();
process.exitCode = await handOver();

async function installDependencies() {
  const wanted = createHash("sha256")
    .update(readFileSync(`${root}package-lock.json`))
    .digest("hex");
  if (existsSync(pinnedNode) && existsSync(stampPath) && readFileSync(stampPath, "utf8") === wanted) return;
  requireWritable();
  requireDisk();
  console.log("Installing the packages of package-lock.json (a minute, once) ...");
  // Not `npm ci`: it refuses a lock file that lacks other platforms' optional packages, which npm leaves out
  // when it makes one where they cannot be had.
  const install = ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
  const { code, output } = await run(...npmCommand(install));
  if (code !== 0 || !existsSync(pinnedNode)) fail(explainInstall(output));
  writeFileSync(stampPath, wanted);
}

function requireWritable() {
  try {
    accessSync(root, constants.W_OK);
  } catch {
    fail(`${root} is read-only: clone the repository into a folder that you may write to.`);
  }
}

function requireDisk() {
  const { bavail, bsize } = statfsSync(root);
  const freeMib = Math.floor((bavail * bsize) / 2 ** 20);
  if (freeMib < NEEDED_DISK_MIB) {
    fail(`The disk of ${root} has ${freeMib} MiB left; packages and models need ${NEEDED_DISK_MIB} MiB.`);
  }
}

/** npm as it called us, on the Node it runs on: an install may replace the Node inside node_modules. */
function npmCommand(args) {
  const npmScript = process.env.npm_execpath;
  const systemNode = process.env.npm_node_execpath;
  if (npmScript?.endsWith(".js") && systemNode && !systemNode.startsWith(root)) {
    return [systemNode, [npmScript, ...args]];
  }
  return ["npm", args];
}

function explainInstall(output) {
  const reasons = [
    [/ENOSPC/, "the disk is full"],
    [/EACCES|EPERM|EROFS/, `no permission to write below ${root}`],
    [
      /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|network/i,
      "the package registry cannot be reached (no network, or a proxy that npm does not know)",
    ],
    [/ENOENT.*npm|spawn npm/, "npm was not found on the PATH"],
  ];
  const reason = reasons.find(([pattern]) => pattern.test(output))?.[1] ?? "see the lines above";
  return `npm could not install the packages: ${reason}. Running the same command again goes on from here.`;
}

/** Runs a command with its output shown; keeps what it wrote to standard error. */
function run(command, commandArgs) {
  return new Promise((resolve) => {
    // onnxruntime's own install step would fetch GPU libraries; the CPU library is in the package.
    const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip", npm_config_update_notifier: "false" };
    const child = spawn(command, commandArgs, { cwd: root, env, stdio: ["ignore", "inherit", "pipe"] });
    let output = "";
    child.stderr.on("data", (chunk) => {
      output = (output + chunk).slice(-20_000);
      process.stderr.write(chunk);
    });
    child.on("error", (error) => resolve({ code: 1, output: `${output}\n${error.message}` }));
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}

/** Runs the program and ends as it ends; a signal is its to act on. */
function handOver() {
  return new Promise((resolve) => {
    const env = { ...process.env, PATH: `${root}node_modules/.bin:${process.env.PATH ?? ""}` };
    const child = spawn(pinnedNode, ["--disable-warning=ExperimentalWarning", program, ...args], {
      cwd: root,
      env,
      stdio: "inherit",
    });
    // Ctrl-C reaches the whole foreground group by itself; only a signal sent to this process is passed on.
    process.on("SIGINT", () => {});
    for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
    child.on("error", (error) => fail(`${pinnedNode} does not run: ${error.message}`));
    child.on("close", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 143)));
  });
}

function fail(message) {
  console.error(`\n${message}`);
  process.exit(1);
}
