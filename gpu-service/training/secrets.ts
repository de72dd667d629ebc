/** What programs that we start need not know. */

/** Variables that open something: bucket, channel, jobs API, links. */
const SECRETS = [
  ...["TRAINING_TOKEN", "ADMIN_SECRET", "LINK_SECRET", "KEYS_DIR", "RAY_AUTH_TOKEN"],
  ...["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"],
];

export const withoutSecrets = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !SECRETS.includes(name)));
