import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { expect, it } from "vitest";
import { openDataFolder, ROOT } from "../../../infra/start/paths.ts";
import { twoWorkers } from "../../../infra/start/second-worker.ts";
import { temporaryFolder } from "../../support/training-folder.ts";

const names = (toml: string, key: string) =>
  [...toml.matchAll(new RegExp(`^${key} = "(.*)"$`, "gm"))].map((match) => match[1]);

it("binds the second Worker to the first, with the same variables and what is stored", () => {
  const args = twoWorkers(openDataFolder(temporaryFolder()), { TARGET: "t", TRUSTED_KEYS: '[{"id":"k"}]' });
  const [first = "", second = ""] = [args[1]!, args[3]!].map((file) => readFileSync(file, "utf8"));
  expect(names(first, "service")).toEqual(names(second, "name").slice(0, 1));
  for (const path of [...names(first, "main"), ...names(second, "main"), ...names(first, "directory")])
    expect(isAbsolute(path!)).toBe(true);
  expect(second).toContain('TARGET = "t"\nTRUSTED_KEYS = "[{\\"id\\":\\"k\\"}]"\nSERVES = "canary"\n');
  for (const key of ["bucket_name", "database_id", "compatibility_date", "queue"])
    expect(new Set(names(second, key))).toEqual(new Set(names(first, key)));
});

it("gives the second Worker every object of the first", () => {
  const [first, second] = ["wrangler.toml", "wrangler.canary.toml"].map((file) =>
    readFileSync(join(ROOT, file), "utf8"),
  );
  const objects = (toml = "") =>
    [...toml.matchAll(/durable_objects.bindings\]\]\nname = "(\w+)"\nclass_name = "(\w+)"/g)].map(
      ([, name, className]) => `${name} ${className}`,
    );
  expect(objects(second).sort()).toEqual(objects(first).sort());
});
