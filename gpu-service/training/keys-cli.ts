/** `npm run keys -- signing show | rotate | revoke ID`: the keys that releases are signed with. */
import { openSigningKeys, revokeKey, rotateSigningKey } from "./publish/signing-keys.ts";

const USAGE = `npm run keys -- signing COMMAND
  show        the key that signs, and every key that the edge is to trust
  rotate      a new key signs from now on; the old one stays trusted
  revoke ID   what this key has signed is no longer accepted
The edge takes the list (TRUSTED_KEYS) when it starts next.`;

const folder = process.env.KEYS_DIR;
if (!folder) exit("KEYS_DIR: the folder of the keys is not set");
const [kind, command, id] = process.argv.slice(2);
if (kind !== "signing") exit(USAGE);
try {
  switch (command) {
    case "show":
      break;
    case "rotate":
      await rotateSigningKey(folder);
      break;
    case "revoke":
      await revokeKey(folder, id ?? exit(`ID is missing\n${USAGE}`));
      break;
    default:
      exit(USAGE);
  }
  const keys = await openSigningKeys(folder);
  for (const key of keys.trusted) {
    console.log(`${key.id}  ${key.public_key}${key.id === keys.id ? "  (signs)" : ""}`);
  }
} catch (error) {
  exit(error instanceof Error ? error.message : String(error));
}

function exit(message: string): never {
  console.error(message);
  process.exit(2);
}
