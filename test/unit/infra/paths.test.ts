import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { StartError } from "../../../infra/start/errors.ts";
import { openDataFolder } from "../../../infra/start/paths.ts";

let place: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "outrider-paths-"));
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

it("a data folder that cannot be made is named, with the variable that names another", () => {
  const file = join(place, "file");
  writeFileSync(file, "");
  const open = () => openDataFolder(join(file, "data"));
  expect(open).toThrow(StartError);
  expect(open).toThrow(/file\/data cannot be written: .*OUTRIDER_DATA/);
});

it("opening again keeps what is there", () => {
  const data = openDataFolder(place);
  writeFileSync(join(data.keys, "kept"), "");
  expect(openDataFolder(place)).toEqual(data);
  expect(() => writeFileSync(join(data.keys, "kept"), "", { flag: "wx" })).toThrow(/EEXIST/);
});
