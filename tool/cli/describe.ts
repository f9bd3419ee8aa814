import type { Graph, GraphDevice } from "@tesserae/config/graph";
import { describeKeys } from "@tesserae/image/arguments";
import { formatKey } from "@tesserae/image/key";

/** The graph as a tree: main's devices, under each what it is made from; what was shown before is only named. */
export function graphTree(graph: Graph): string {
  const byId = new Map(graph.devices.map((device) => [device.id, device]));
  const lines = [`${graph.name} on ${graph.target}`];
  const shown = new Set<string>();
  const walk = (label: string, id: string, indent: string, last: boolean): void => {
    const device = byId.get(id);
    if (device === undefined) return;
    const again = shown.has(id) && Object.keys(device.needs).length > 0;
    const name = label === id ? id : `${label}: ${id}`;
    lines.push(`${indent}${last ? "└─" : "├─"} ${name}${again ? " (as above)" : `  ${made(device)}`}`);
    if (again) return;
    shown.add(id);
    const needs = Object.entries(device.needs);
    needs.forEach(([parameter, needed], index) =>
      walk(parameter, needed, `${indent}${last ? "   " : "│  "}`, index === needs.length - 1),
    );
  };
  const bindings = Object.entries(graph.bindings);
  bindings.forEach(([property, id], index) => walk(property, id, "", index === bindings.length - 1));
  if (graph.keys.length > 0) lines.push("", "keys, given when it starts:", describeKeys(graph.keys));
  const constants = Object.entries(graph.constants);
  if (constants.length > 0) {
    lines.push(
      "",
      "keys, given when it is built:",
      ...constants.map(([name, value]) => `  ${name} = ${formatKey(value)}`),
    );
  }
  return lines.join("\n");
}

function made(device: GraphDevice): string {
  const { implementation, kind, version } = device;
  if (implementation.module === undefined) return `${kind} of the target`;
  return `${kind} "${implementation.name}" (${implementation.module} ${version})`;
}

/** The graph for Graphviz. */
export function graphDot(graph: Graph): string {
  const quote = (text: string): string =>
    `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
  const lines = [
    `digraph ${quote(graph.name)} {`,
    "  rankdir = LR;",
    "  node [shape = box, fontname = sans];",
    `  main [label = ${quote(`${graph.name}\nmain`)}, style = bold];`,
  ];
  for (const { id, kind, implementation } of graph.devices) {
    const detail =
      implementation.module === undefined ? `${kind} of ${graph.target}` : `${kind}: ${implementation.name}`;
    lines.push(`  ${quote(`device ${id}`)} [label = ${quote(`${id}\n${detail}`)}];`);
  }
  for (const [property, id] of Object.entries(graph.bindings)) {
    lines.push(`  main -> ${quote(`device ${id}`)}${property === id ? "" : ` [label = ${quote(property)}]`};`);
  }
  for (const { id, needs } of graph.devices) {
    for (const [parameter, needed] of Object.entries(needs)) {
      const label = parameter === needed ? "" : ` [label = ${quote(parameter)}]`;
      lines.push(`  ${quote(`device ${id}`)} -> ${quote(`device ${needed}`)}${label};`);
    }
  }
  return `${lines.join("\n")}\n}`;
}

/** The graph for scripts. */
export function graphJson(graph: Graph): string {
  return JSON.stringify(
    {
      name: graph.name,
      target: graph.target,
      bindings: graph.bindings,
      devices: graph.devices.map(({ id, kind, implementation, version, needs, options, declared }) => ({
        id,
        kind,
        implementation: implementation.name,
        module: implementation.module ?? null,
        version,
        needs,
        options,
        declared,
      })),
      keys: graph.keys,
      constants: Object.fromEntries(Object.entries(graph.constants).map(([name, value]) => [name, formatKey(value)])),
    },
    undefined,
    2,
  );
}
