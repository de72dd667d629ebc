/** What a deployment is told: its flags, and of the environment only what must not stand on a command line. */
import { parseArgs } from "node:util";
import { z } from "zod";

export const USAGE = `npm run deploy -- [--dry-run] --verifier URL [options]
  --dry-run           checks everything up to the account's door, and prints what would be done there
  --verifier URLS     the verifiers, wss://, separated by commas
  --training URL      the training service, https://; without it nothing is retrained
  --domain HOST       custom domain of the worker (the Cache API needs one)
  --environment NAME  a deployment of its own beside others: every resource's name ends in it
  --target ID         the target that is served, when not that of wrangler.toml
  --recipe NAME       what the nightly chain trains by
  --retraining JSON   dials of that chain
  --var NAME=VALUE    another variable of the worker (edge/config.ts); may be given again and again
  --second-worker     also the Worker for canaries that do not fit beside the current release
The account is that of CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID, or of \`npx wrangler login\`.
R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY (an R2 API token) go into the GPU box's environment file.`;

const url = (protocol: RegExp) => z.url({ protocol, error: `must be an address with ${protocol.source}` });
const settingsSchema = z.object({
  dryRun: z.boolean().default(false),
  verifiers: z.array(url(/^wss$/)).min(1, "--verifier is missing"),
  training: url(/^https$/).optional(),
  domain: z
    .string()
    .regex(/^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$/, "is not a host name")
    .optional(),
  environment: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,20}$/, "is lower-case letters, digits and '-'")
    .optional(),
  target: z.string().min(1).optional(),
  recipe: z.string().min(1).optional(),
  retraining: z.string().optional(),
  variables: z.record(z.string(), z.string()).default({}),
  secondWorker: z.boolean().default(false),
  r2: z.object({ accessKeyId: z.string(), secretAccessKey: z.string() }).optional(),
});
export type DeploySettings = z.output<typeof settingsSchema>;

/** Throws an Error that names every flag that is wrong. */
export function readSettings(
  args: readonly string[],
  env: Record<string, string | undefined>,
): DeploySettings {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ "dry-run": { type: "boolean" }, verifier: text, training: text, domain: text },
      ...{ environment: text, target: text, recipe: text, retraining: text },
      ...{ var: { type: "string", multiple: true }, "second-worker": { type: "boolean" } },
    },
  });
  const { R2_ACCESS_KEY_ID: accessKeyId, R2_SECRET_ACCESS_KEY: secretAccessKey } = env;
  const parsed = settingsSchema.safeParse({
    ...values,
    ...{ dryRun: values["dry-run"], secondWorker: values["second-worker"] },
    variables: Object.fromEntries((values.var ?? []).map((given) => split(given))),
    verifiers: values.verifier?.split(",").map((one) => one.trim()) ?? [],
    ...(accessKeyId && secretAccessKey && { r2: { accessKeyId, secretAccessKey } }),
  });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    ({ path, message }) => `  ${String(path[0] ?? "flags")}: ${message}`,
  );
  throw new Error(`deploy: wrong flags\n${problems.join("\n")}\n${USAGE}`);
}

function split(given: string): [string, string] {
  const at = given.indexOf("=");
  return at < 0 ? [given, ""] : [given.slice(0, at), given.slice(at + 1)];
}
