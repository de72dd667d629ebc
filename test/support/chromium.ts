/** A Chromium of this machine's, for tests of the page; `.ci/run` installs Debian's. */
import { existsSync } from "node:fs";

const PLACES = [
  ...["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"],
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Its path, or undefined where there is none. CI has one: without it the tests would pass by not running. */
export function findChromium(): string | undefined {
  const found = [process.env.CHROMIUM, ...PLACES].find((path) => path !== undefined && existsSync(path));
  if (!found && process.env.CI) throw new Error("no Chromium: install it, or set CHROMIUM to its path");
  return found;
}
