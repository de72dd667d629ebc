/** Writes test/cases/hints.json: `node test/support/make-hint-cases.ts > test/cases/hints.json`. */
import { hintCases } from "./hint-cases.ts";

process.stdout.write(`${JSON.stringify(hintCases())}\n`);
