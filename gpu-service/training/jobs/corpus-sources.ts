/** Where a recipe's corpus may come from: what is installed, the hub, and folders that the operator has opened. */
import { realpathSync } from "node:fs";
import { isAbsolute, relative } from "node:path";

const HUB_NAME = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;
const PACKAGE_NAME = /^[A-Za-z0-9][\w.-]*$/;
/** Options of a hub source that say which files of the dataset: never a local path, never another host. */
const HUB_FILES = ["files", "data_dir"];

/** Null for a source `KIND:WHERE?key=value` that is allowed. */
export function sourceProblem(spec: string, corpora: readonly string[]): string | null {
  const [head = "", query = ""] = split(spec, "?");
  if (head === "stdlib") return null;
  const [kind = "", where = ""] = split(head, ":");
  switch (kind) {
    case "package":
      return PACKAGE_NAME.test(where) ? null : `"${where}" is not the name of a package`;
    case "hub":
      return hubProblem(where, new URLSearchParams(query));
    case "folder":
    case "archive":
      return placeProblem(where, corpora);
    default:
      return `"${spec}" is none of stdlib, package:NAME, hub:OWNER/NAME, folder:/PATH, archive:/PATH`;
  }
}

function hubProblem(where: string, options: URLSearchParams): string | null {
  if (!HUB_NAME.test(where)) return `"${where}" is not the name of a dataset, OWNER/NAME`;
  for (const key of HUB_FILES) {
    for (const path of options.getAll(key)) {
      if (isAbsolute(path) || path.includes("..") || path.includes(":")) {
        return `${key}=${path} is not a path inside of the dataset`;
      }
    }
  }
  return null;
}

/** Links are followed first: one that leads out of an allowed folder is out of it. */
function placeProblem(where: string, corpora: readonly string[]): string | null {
  const real = realPath(where);
  if (real !== null && corpora.map(realPath).some((root) => root !== null && isInside(real, root)))
    return null;
  const allowed = corpora.length ? corpora.join(", ") : "none: TRAINING_CORPORA is not set";
  return `${where} is not in a folder for corpora (${allowed})`;
}

function isInside(path: string, root: string): boolean {
  const way = relative(root, path);
  return way !== ".." && !way.startsWith("../") && !isAbsolute(way);
}

function realPath(path: string): string | null {
  try {
    return isAbsolute(path) ? realpathSync(path) : null;
  } catch {
    return null;
  }
}

/** At the first `mark` only. */
function split(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
