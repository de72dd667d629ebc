// Shows the OpenAPI document as a page.
import { typeOf } from "./schema.js";

const $ = (id) => document.getElementById(id);

load().catch((error) => {
  $("problem").textContent = error.message;
  $("problem").hidden = false;
});

async function load() {
  const response = await fetch("/openapi.json");
  if (!response.ok) throw new Error(`/openapi.json answered ${response.status}`);
  show(await response.json());
}

function show(api) {
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const id = `${method}${path.replaceAll(/[^a-z]+/g, "-")}`;
      const link = element("a", { href: `#${id}` }, [badge(method), path]);
      $("contents").append(element("li", {}, [link, ` ${operation.summary}`]));
      $("operations").append(section({ id, method, path, operation, api }));
    }
  }
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function section({ id, method, path, operation, api }) {
  const parts = [element("h2", {}, [badge(method), path]), element("p", {}, [operation.summary])];
  if (operation.parameters?.length) {
    const rows = operation.parameters.map(({ name, in: place, schema, description = "" }) => [
      code(name),
      `${place}: ${typeOf(schema, api)}`,
      description,
    ]);
    parts.push(heading("Parameters"), table(["name", "type", "what it does"], rows));
  }
  const body = operation.requestBody?.content["application/json"]?.schema;
  if (body) parts.push(heading("Body"), fields(body, api));
  parts.push(heading("Answers"), answers(operation.responses, api));
  return element("section", { id }, parts);
}

function fields(schema, api) {
  const { properties = {}, required = [] } = resolve(schema, api);
  const isNeeded = ([name]) => (required.includes(name) ? 0 : 1);
  const rows = Object.entries(properties)
    .sort((a, b) => isNeeded(a) - isNeeded(b))
    .map(([name, field]) => [
      code(name),
      typeOf(field, api),
      required.includes(name) ? "required" : (field.description ?? ""),
    ]);
  return table(["field", "type", ""], rows);
}

function answers(responses, api) {
  const rows = Object.entries(responses).map(([status, { description, content = {} }]) => [
    status,
    description,
    Object.entries(content)
      .map(([type, { schema }]) => (schema ? `${type}: ${typeOf(schema, api)}` : type))
      .join("; "),
  ]);
  return table(["status", "when", "body"], rows);
}

function table(names, rows) {
  const cells = (tag, values) => values.map((value) => element(tag, {}, [value]));
  const head = element("thead", {}, [element("tr", {}, cells("th", names))]);
  const body = element(
    "tbody",
    {},
    rows.map((row) => element("tr", {}, cells("td", row))),
  );
  return element("div", { className: "scroll" }, [element("table", {}, [head, body])]);
}

const resolve = (schema, api) =>
  schema.$ref ? api.components.schemas[schema.$ref.split("/").at(-1)] : schema;
const badge = (method) => element("span", { className: "method" }, [method]);
const code = (text) => element("code", {}, [text]);
const heading = (text) => element("h3", {}, [text]);

function element(tag, properties, children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
