import type { Graph } from "@tesserae/config/graph";
import type { Target } from "@tesserae/config/target";
import { formatKey, type KeyValue } from "@tesserae/image/key";

/** Where the parts of an image are found: module specifiers. */
export interface EntryModules {
  readonly main: string;
  readonly scenario?: string | undefined;
  /**
   * Whether the image serves HTTP. Then `Response` is the one of `@tesserae/http`, which keeps a body that is there
   * already as it is; the engine's makes a stream of it, at several times the cost of the rest of a small request.
   */
  readonly serves: boolean;
  /** Whether code of the image uses Node.js's networking modules, and they are to run on its own stack. */
  readonly nodeApi: boolean;
  /** The module with the files of a folder of the application. */
  files(folder: string): string;
  /** The path of the folder or file `name` of the application as seen from the image. */
  path(name: string): string;
}

/** The source of an image's first module: imports what the graph chose, and nothing else, and boots it. */
export function entrySource(graph: Graph, target: Target, modules: EntryModules): string {
  // First: it comes between Node.js and what the application's packages take hold of when they are loaded.
  const nodeApi = `import { installOnStack } from "@tesserae/node-api/on-stack";`;
  const imports = [
    ...(modules.nodeApi ? [nodeApi] : []),
    `import { boot } from ${JSON.stringify(target.boot)};`,
    `import { main } from ${JSON.stringify(modules.main)};`,
  ];
  if (modules.scenario !== undefined) imports.push(`import * as scenario from ${JSON.stringify(modules.scenario)};`);
  const factories = new Map<string, string>();
  const folders = new Map<string, string>();
  const devices = graph.devices.map((device) => {
    const { id, kind, implementation, needs } = device;
    const { module, export: factory, name } = implementation;
    if (module === undefined || factory === undefined) return `{ id: ${text(id)}, kind: ${text(kind)}, base: true }`;
    const from = `${module} ${factory}`;
    let local = factories.get(from);
    if (local === undefined) {
      local = `create${String(factories.size)}`;
      factories.set(from, local);
      imports.push(`import { ${factory} as ${local} } from ${text(module)};`);
    }
    const options = Object.entries(device.options).map(([parameter, option]) => {
      if ("key" in option) return `${text(parameter)}: { key: ${text(option.key)} }`;
      if ("value" in option) return `${text(parameter)}: { value: ${JSON.stringify(option.value)} }`;
      let files = folders.get(option.files);
      if (files === undefined) {
        files = `files${String(folders.size)}`;
        folders.set(option.files, files);
        imports.push(`import { files as ${files} } from ${text(modules.files(option.files))};`);
      }
      return `${text(parameter)}: { value: ${files} }`;
    });
    return (
      `{ id: ${text(id)}, kind: ${text(kind)}, implementation: ${text(name)}, create: ${local}, ` +
      `needs: ${JSON.stringify(needs)}, options: { ${options.join(", ")} } }`
    );
  });
  const keys = graph.keys.map((key) => {
    const { name, type, doc } = key;
    let usual = "";
    if (key.path !== undefined) {
      usual = `, default: fileURLToPath(new URL(${text(modules.path(key.path))}, import.meta.url))`;
    } else if (key.default !== undefined) usual = `, default: ${text(key.default)}`;
    return `{ name: ${text(name)}, type: ${JSON.stringify(type)}${usual}, doc: ${text(doc)} }`;
  });
  if (graph.keys.some((key) => key.path !== undefined)) imports.push(`import { fileURLToPath } from "node:url";`);
  const constants = Object.entries(graph.constants).map(([name, value]) => `${text(name)}: ${literal(value)}`);
  if (constants.some((each) => each.includes("IpAddress."))) {
    imports.push(`import { IpAddress } from "@tesserae/device/address";`);
  }
  if (constants.some((each) => each.includes("Prefix."))) {
    imports.push(`import { Prefix } from "@tesserae/device/address";`);
  }
  if (modules.serves) imports.push(`import { LightResponse } from "@tesserae/http/light-response";`);
  return `${imports.join("\n")}
${modules.serves ? "\nglobalThis.Response = LightResponse;\n" : ""}
await boot({
  name: ${text(graph.name)},
  target: ${text(graph.target)},
  keys: [${keys.map((each) => `\n    ${each},`).join("")}\n  ],
  constants: { ${constants.join(", ")} },
  devices: [${devices.map((each) => `\n    ${each},`).join("")}\n  ],
  bindings: ${JSON.stringify(graph.bindings)},
  main,${modules.scenario === undefined ? "" : "\n  scenario,"}${modules.nodeApi ? "\n  installNodeApi: installOnStack," : ""}
});
`;
}

/** The source text of a key's value. */
export function literal(value: KeyValue): string {
  if (typeof value !== "object") return JSON.stringify(value);
  if ("kind" in value) {
    if (value.kind !== "static") return `{ kind: ${text(value.kind)} }`;
    const gateway = value.gateway === undefined ? "" : `, gateway: ${literal(value.gateway)}`;
    return `{ kind: "static", address: ${literal(value.address)}${gateway} }`;
  }
  if ("port" in value) return `{ address: ${literal(value.address)}, port: ${String(value.port)} }`;
  return `${"length" in value ? "Prefix" : "IpAddress"}.parse(${text(formatKey(value))})`;
}

function text(value: string): string {
  return JSON.stringify(value);
}
