// Reads YAML files and prints their documents as JSON, each with what the schema of its API has against it:
//   node manifests.mjs FILE...
// prints [{"file", "document", "schema", "problems": ["…"]}]. A document that is no object of Kubernetes has no schema.
//
// The schemas are those of the published CRDs and API types, as compiled into the packages beside this file. They let unknown
// members pass, as the API server does (which then drops them). Here those are a problem too, see `unknownMembers`.
import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";

/** The package that has the schemas of an API group. */
const packages = [
  [/^gateway\.envoyproxy\.io$/, "@kubernetes-models/envoy-gateway"],
  [/^gateway\.networking\.k8s\.io$/, "@kubernetes-models/gateway-api"],
  [/\.istio\.io$/, "@kubernetes-models/istio"],
];

/** Members below which an API takes anything: what stands there is another's to check. */
const free = {
  WasmPlugin: [/^\/spec\/pluginConfig\//],
  EnvoyFilter: [/^\/spec\/configPatches\/\d+\/patch\/value\//],
  EnvoyExtensionPolicy: [/^\/spec\/wasm\/\d+\/config(\/|$)/],
  EnvoyPatchPolicy: [/^\/spec\/jsonPatches\/\d+\/operation\/value(\/|$)/],
};

/** One value of each type of JSON, none of which means anything. */
const nonsense = ["\u0007", -0.5, true, [], {}];

async function model({ apiVersion, kind }) {
  const group = apiVersion.split("/")[0];
  const found = packages.find(([pattern]) => pattern.test(group));
  if (!found) throw new Error(`no schema for the API group ${group}`);
  const { [kind]: model } = await import(`${found[1]}/${apiVersion}`);
  if (!model) throw new Error(`no schema for ${kind} in ${apiVersion}`);
  const schema = JSON.parse(readFileSync(new URL(`node_modules/${found[1]}/package.json`, import.meta.url)));
  return { model, schema: `${schema.name} ${schema.version}` };
}

/** What a schema says against a document, or nothing. */
function problem(model, document) {
  try {
    new model(structuredClone(document)).validate();
  } catch (error) {
    return error.message;
  }
}

/** The paths of all members of a document, as JSON pointers with the objects that hold them. */
function* members(value, path = "") {
  if (value === null || typeof value !== "object") return;
  for (const [name, member] of Object.entries(value)) {
    yield { path: `${path}/${name}`, holder: value, name };
    yield* members(member, `${path}/${name}`);
  }
}

/** A member that may hold any nonsense is one that the schema does not know. */
function unknownMembers(model, document) {
  const unknown = [];
  for (const { path, holder, name } of members(document)) {
    if (free[document.kind]?.some((pattern) => pattern.test(path))) continue;
    const value = holder[name];
    const takesAll = nonsense.every((other) => {
      holder[name] = other;
      return problem(model, document) === undefined;
    });
    holder[name] = value;
    if (takesAll) unknown.push(`${path}: unknown member`);
  }
  return unknown;
}

async function check(document) {
  if (!document.apiVersion) return { problems: [] };
  try {
    const { model: type, schema } = await model(document);
    const found = problem(type, document);
    return { schema, problems: found === undefined ? unknownMembers(type, document) : [found] };
  } catch (error) {
    return { problems: [error.message] };
  }
}

const results = [];
for (const file of process.argv.slice(2)) {
  for (const parsed of parseAllDocuments(readFileSync(file, "utf8"), { merge: true })) {
    const errors = [...parsed.errors, ...parsed.warnings].map((error) => error.message);
    const document = errors.length ? null : parsed.toJS();
    results.push({ file, document, ...(errors.length ? { problems: errors } : await check(document)) });
  }
}
console.log(JSON.stringify(results));
