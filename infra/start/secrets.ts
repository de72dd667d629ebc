/** The installation's shared secrets, made at the first start and kept in the data folder, readable by its user alone. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { StartError } from "./errors.ts";

const SECRET_BYTES = 32;

const secretsSchema = z.object({
  /** Signs the token in every `open` of the link. */
  link: z.object({ id: z.string(), secret: z.string() }),
  /** Opens the worker's /admin. */
  admin: z.string(),
  /** Opens the training service's jobs API. */
  training: z.string(),
});
export type Secrets = z.infer<typeof secretsSchema>;

export function openSecrets(keysFolder: string): Secrets {
  const path = join(keysFolder, "secrets.json");
  if (existsSync(path)) return readSecrets(path);
  const secret = () => randomBytes(SECRET_BYTES).toString("base64url");
  const secrets: Secrets = {
    link: { id: `link-${randomBytes(4).toString("hex")}`, secret: secret() },
    admin: secret(),
    training: secret(),
  };
  writeFileSync(path, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
  return secrets;
}

function readSecrets(path: string): Secrets {
  try {
    return secretsSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    throw new StartError(
      `${path} is damaged (${error instanceof Error ? error.message : error}). ` +
        "`npm start -- --fresh` makes new secrets and forgets the installation's data.",
    );
  }
}
