/** `npm run check:exact`: the default target's logits are the same bits however its rows are grouped. */
import { parseArgs } from "node:util";
import { loadModel } from "../../gpu-service/verify/engines/onnx/model.ts";
import { openTarget } from "../../gpu-service/verify/engines/onnx/target.ts";
import { ensureDefaultModel } from "../models/default-model.ts";
import { FORMATS } from "../models/pins.ts";
import { openDataFolder } from "../start/paths.ts";
import { runMain } from "../start/run-main.ts";
import { type Digests, firstDifference, plainRun, WAYS } from "./exactness.ts";

const THREADS = [1, 2];
const SLOTS = 8;

await runMain(async () => ((await main()) ? 0 : 1));

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      length: { type: "string", default: "2048" },
      formats: { type: "string", default: FORMATS.join() },
    },
  });
  const length = Number(values.length);
  const formats = FORMATS.filter((format) => values.formats.split(",").includes(format));
  const folder = await ensureDefaultModel(openDataFolder(), formats, (line) => console.log(line));
  let isExact = true;
  for (const format of formats) {
    const target = await openTarget(folder, format);
    let expected: Digests | undefined;
    for (const threads of THREADS) {
      const options = { slots: SLOTS, threads, context: length + 16, retainedBytes: 1 << 30 };
      const model = await loadModel(target, options);
      const ids = Array.from({ length }, (_, i) => (i * 7919 + 11) % model.vocabSize);
      expected ??= await plainRun(model, ids);
      for (const way of WAYS) {
        const at = await firstDifference(model, ids, expected, way);
        isExact &&= at === undefined;
        const result = at === undefined ? `${length} rows equal` : `DIFFERS from row ${at} on`;
        console.log(`${format}, threads ${threads}, ${way.name}: ${result}`);
      }
    }
  }
  return isExact;
}
