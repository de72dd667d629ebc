// A JSON schema in a few words.

/** `api`: the OpenAPI document, for references. */
export function typeOf(schema, api) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.anyOf) return schema.anyOf.map((one) => typeOf(one, api)).join(" or ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  const types = [schema.type ?? "anything"].flat();
  return types.map((type) => described(type, schema, api)).join(" or ");
}

function described(type, schema, api) {
  if (type === "array") return `list of (${schema.items ? typeOf(schema.items, api) : "anything"})${most(schema)}`;
  if (type === "object" && schema.properties) {
    return `{${Object.keys(schema.properties).join(", ")}}`;
  }
  if (type === "number" || type === "integer") return `${type}${bounds(schema)}`;
  return type;
}

const most = ({ maxItems }) => (maxItems === undefined ? "" : `, at most ${maxItems}`);

function bounds({ minimum, exclusiveMinimum, maximum }) {
  const from = known(minimum ?? exclusiveMinimum);
  const to = known(maximum);
  if (from === undefined && to === undefined) return "";
  const least = exclusiveMinimum === undefined ? "" : "above ";
  return ` (${least}${from ?? "…"} to ${to ?? "…"})`;
}

/** The bounds of JSON's integers go without saying. */
const known = (bound) => (Math.abs(bound) === Number.MAX_SAFE_INTEGER ? undefined : bound);
