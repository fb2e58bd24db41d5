"use strict";

/** An element with attributes and children; texts stay texts. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

let api;

/** What a reference leads to. */
function resolved(schema) {
  let found = schema;
  for (let steps = 0; found && found.$ref && steps < 10; steps += 1) {
    found = found.$ref.slice(2).split("/").reduce((place, step) => place && place[step.replaceAll("~1", "/").replaceAll("~0", "~")], api);
  }
  return found || {};
}

function nameOf(schema) {
  return schema && schema.$ref ? schema.$ref.split("/").pop() : "";
}

/** The kind of a schema in a few words. */
function kind(schema) {
  const target = resolved(schema);
  if (target.const !== undefined) return JSON.stringify(target.const);
  if (target.enum) return target.enum.map((word) => JSON.stringify(word)).join(" | ");
  const options = target.anyOf || target.oneOf;
  if (options) return options.map(kind).join(" | ");
  const types = [target.type].flat().filter(Boolean);
  const words = types.map((type) => (type === "array" ? `list of ${target.items ? kind(target.items) : "anything"}` : type === "object" && nameOf(schema) ? nameOf(schema) : type));
  return words.join(" | ") || nameOf(schema) || "anything";
}

/** The schemas with members below a schema. */
function parts(schema) {
  const target = resolved(schema);
  const below = [...(target.anyOf || []), ...(target.oneOf || []), ...(target.items ? [target.items] : [])].flatMap(parts);
  if (target.additionalProperties && typeof target.additionalProperties === "object") below.push(...parts(target.additionalProperties));
  return target.properties ? [target, ...below] : below;
}

function bounds(schema) {
  const { minimum, maximum, minLength, maxLength, maxItems, default: usual } = resolved(schema);
  const words = [];
  if (minimum !== undefined || maximum !== undefined) words.push(`${minimum ?? ""}…${maximum ?? ""}`);
  if (maxLength !== undefined) words.push(`${minLength ?? 0}…${maxLength} characters`);
  if (maxItems !== undefined) words.push(`at most ${maxItems}`);
  if (usual !== undefined && usual !== null && !(Array.isArray(usual) && !usual.length) && usual !== "") words.push(`default ${JSON.stringify(usual)}`);
  return words.length ? ` (${words.join(", ")})` : "";
}

/** Members as a list that opens step by step. */
function members(target) {
  const needed = target.required || [];
  return make("ul", { class: "members" }, ...Object.entries(target.properties).map(([name, schema]) => {
    const about = schema.description || resolved(schema).description;
    const line = [make("code", {}, name), " ", make("span", { class: "quiet" }, kind(schema) + bounds(schema) + (needed.includes(name) ? ", needed" : "")), about ? ` – ${about}` : ""];
    const below = parts(schema);
    if (!below.length) return make("li", {}, ...line);
    return make("li", {}, opening(make("summary", {}, ...line), () => below.map(members)));
  }));
}

/** A part that is made when it is opened. */
function opening(summary, content, attributes = {}) {
  const details = make("details", attributes, summary);
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(...content());
  });
  return details;
}

function shape(schema) {
  const below = parts(schema);
  return [make("p", { class: "quiet" }, kind(schema)), ...below.map(members)];
}

/** A value that fits a schema. */
function example(schema, depth = 0) {
  const target = resolved(schema);
  if (target.examples && target.examples.length) return target.examples[0];
  if (target.enum) return target.enum[0];
  if (target.anyOf) return example(target.anyOf[0], depth);
  const type = [target.type].flat()[0];
  if (type === "array") return depth < 3 && target.items ? [example(target.items, depth + 1)] : [];
  if (target.properties) {
    const needed = target.required || [];
    return Object.fromEntries(Object.entries(target.properties).filter(([name]) => needed.includes(name)).map(([name, member]) => [name, example(member, depth + 1)]));
  }
  return { string: "", integer: 0, number: 0, boolean: true, object: {} }[type] ?? null;
}

let csrf;

/** The header that a session needs for changes. */
async function proof() {
  if (csrf === undefined) {
    const answer = await fetch("/admin/api/session");
    csrf = answer.ok ? (await answer.json()).csrf || "" : "";
  }
  return csrf;
}

function trying(path, method, operation) {
  const given = new Map();
  const fields = make("div", { class: "fields" });
  for (const parameter of operation.parameters || []) {
    const schema = resolved(parameter.schema);
    const words = schema.enum || (schema.type === "boolean" ? ["true", "false"] : undefined);
    const field = words ? make("select", {}, make("option", { value: "" }, "–"), ...words.map((word) => make("option", {}, String(word)))) : make("input", { autocomplete: "off" });
    field.id = `${operation.operationId}-${parameter.name}`;
    given.set(parameter, field);
    fields.append(make("label", { for: field.id }, parameter.name), field);
  }
  const content = operation.requestBody && operation.requestBody.content["application/json"];
  const body = content && make("textarea", { "aria-label": "Body", spellcheck: "false" });
  if (body) body.value = JSON.stringify(example(content.schema), null, 2);
  const out = make("div", { "aria-live": "polite" });
  const send = async (event) => {
    event.preventDefault();
    let address = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const [parameter, field] of given) {
      if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(field.value));
      else if (field.value !== "" && parameter.in === "query") query.set(parameter.name, field.value);
      else if (field.value !== "") headers[parameter.name] = field.value;
    }
    const key = document.getElementById("key").value;
    if (key) headers.authorization = `Bearer ${key}`;
    if (body) headers["content-type"] = "application/json";
    try {
      if (!key && method !== "get") headers["x-polyport-csrf"] = await proof();
      const options = { method: method.toUpperCase(), headers, cache: "no-store" };
      if (body) options.body = body.value;
      const answer = await fetch(query.size ? `${address}?${query}` : address, options);
      const text = await answer.text();
      let shown = text;
      try {
        shown = JSON.stringify(JSON.parse(text), null, 2);
      } catch {
        // It is no JSON.
      }
      const told = ["content-type", "etag", "location", "x-request-id", "retry-after"].filter((name) => answer.headers.has(name)).map((name) => `${name}: ${answer.headers.get(name)}`);
      out.replaceChildren(make("p", {}, make("strong", {}, `${answer.status} ${answer.statusText}`)), make("p", { class: "quiet" }, told.join(" · ")), make("pre", { tabindex: "0" }, shown));
    } catch (error) {
      out.replaceChildren(make("p", {}, `It could not be sent: ${error.message}`));
    }
  };
  return make("form", { onsubmit: send }, fields, body, make("p", {}, make("button", { type: "submit" }, "Send")), out);
}

function inside(path, method, operation) {
  const all = [];
  if (operation["x-role"]) all.push(make("p", { class: "quiet" }, `For: ${operation["x-role"]}`));
  if (operation.description) all.push(make("p", {}, operation.description));
  if (operation.parameters) {
    all.push(make("h3", {}, "Parameters"));
    all.push(make("ul", { class: "members" }, ...operation.parameters.map((parameter) => make("li", {}, make("code", {}, parameter.name), " ", make("span", { class: "quiet" }, `${parameter.in}, ${kind(parameter.schema)}${bounds(parameter.schema)}`), parameter.description ? ` – ${parameter.description}` : ""))));
  }
  for (const [type, content] of Object.entries((operation.requestBody || {}).content || {})) {
    all.push(make("h3", {}, `Body, ${type}`), ...shape(content.schema));
  }
  all.push(make("h3", {}, "Answers"));
  for (const [status, response] of Object.entries(operation.responses)) {
    const about = resolved(response);
    const contents = Object.entries(about.content || {}).filter(([, content]) => content.schema);
    const summary = make("summary", {}, make("code", {}, status), ` ${about.description || ""}`);
    all.push(opening(summary, () => contents.flatMap(([type, content]) => [make("p", { class: "quiet" }, type), ...shape(content.schema)])));
  }
  if (path.startsWith("/admin/")) all.push(make("h3", {}, "Try it"), trying(path, method, operation));
  return make("div", { class: "inside" }, ...all);
}

function entry(path, method, operation) {
  const summary = make("summary", {}, make("span", { class: `method ${method}` }, method.toUpperCase()), make("span", { class: "path" }, path), make("span", { class: "quiet" }, operation.summary || ""));
  const details = opening(summary, () => [inside(path, method, operation)], { class: "operation", id: operation.operationId });
  details.dataset.words = `${method} ${path} ${operation.operationId} ${operation.summary}`.toLowerCase();
  return details;
}

function show() {
  document.getElementById("title").textContent = `${api.info.title} ${api.info.version}`;
  const operations = Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));
  const sections = api.tags.map(({ name }) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(name));
    return make("section", { "aria-labelledby": `list-${name}` }, make("h2", { id: `list-${name}` }, name), ...own.map(({ path, method, operation }) => entry(path, method, operation)));
  });
  const problems = api["x-problems"].map(({ code, title, remedy }) => make("details", { class: "problem", id: `problem-${code}` }, make("summary", {}, make("code", {}, code), title), make("div", { class: "inside" }, make("p", {}, remedy))));
  sections.push(make("section", { "aria-labelledby": "list-problems-told" }, make("h2", { id: "list-problems-told" }, "problems"), make("p", { class: "quiet" }, "The type of a problem leads here."), ...problems));
  const links = api.tags.map(({ name }) => make("a", { href: `#list-${name}` }, name));
  links.push(make("a", { href: "#list-problems-told" }, "errors"), make("a", { href: "/admin/api/openapi.json" }, "openapi.json"));
  document.getElementById("lists").replaceChildren(...links);
  document.getElementById("main").replaceChildren(make("p", {}, api.info.description), ...sections);
  jump();
}

/** Opens what the address names. */
function jump() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target instanceof HTMLDetailsElement) target.open = true;
  target.scrollIntoView();
}

function find(event) {
  const wanted = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const details of document.querySelectorAll("details.operation")) {
    details.hidden = !wanted.every((word) => details.dataset.words.includes(word));
  }
  for (const section of document.querySelectorAll("main section")) {
    section.hidden = wanted.length > 0 && !section.querySelector("details.operation:not([hidden])");
  }
}

document.getElementById("tools").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("find").addEventListener("input", find);
window.addEventListener("hashchange", jump);
fetch("/admin/api/openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`status ${answer.status}`))))
  .then((document) => {
    api = document;
    show();
  })
  .catch((error) => {
    document.getElementById("state").textContent = `The document could not be read: ${error.message}`;
  });
