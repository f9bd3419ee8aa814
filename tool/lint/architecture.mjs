// The rules of ARCHITECTURE.md that a machine can check, as an ESLint plugin.
import path from "node:path";

const root = path.resolve(import.meta.dirname, "../..");

/**
 * Which layers each layer may import from. A layer is the first folder of a path.
 *
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const mayImport = {
  lib: ["lib"],
  targets: ["lib", "targets"],
  tool: ["lib", "targets", "tool"],
  cloud: ["lib", "targets", "tool", "cloud"],
};

/**
 * Package name → layer, for our own packages.
 *
 * @type {Readonly<Record<string, string>>}
 */
const layerOfPackage = {
  ...layer("lib", [
    "device",
    "wire",
    "time",
    "conformance",
    "log",
    "kv",
    "block",
    "netif",
    "tcpip",
    "http",
    "image",
    "dns",
    "xenstore",
    "xen",
  ]),
  ...layer("targets", ["node", "tap", "sim", "vm", "node-api"]),
  ...layer("tool", ["config", "cli", "vm-image", "qemu", "xen-host"]),
};

/** @param {string} name @param {readonly string[]} packages */
function layer(name, packages) {
  return Object.fromEntries(packages.map((each) => [each, name]));
}

/** @param {string} file */
function isTest(file) {
  return /\.(test|fuzz)\.ts$/.test(file);
}

/** @param {import("eslint").Rule.RuleContext} context */
function relative(context) {
  return path.relative(root, context.filename).split(path.sep).join("/");
}

/** @type {import("eslint").Rule.RuleModule} */
const imports = {
  meta: { type: "problem", schema: [], messages: { no: "{{text}}" } },
  create(context) {
    const file = relative(context);
    const [own = "", ownPackage] = file.split("/");
    const allowed = mayImport[own];
    /** @param {import("estree").ImportDeclaration | import("estree").ExportNamedDeclaration | import("estree").ImportExpression} node */
    const check = (node) => {
      const source = node.source?.type === "Literal" ? node.source.value : undefined;
      if (typeof source !== "string") return;
      /** @param {string} text */
      const refuse = (text) => context.report({ node, messageId: "no", data: { text } });
      if (source.startsWith("node:") || source === "koffi") {
        if (own === "lib" && !isTest(file)) refuse(`lib/ runs in any engine: "${source}" belongs in targets/`);
        return;
      }
      if (source.startsWith(".")) {
        const target = path.relative(root, path.resolve(path.dirname(context.filename), source));
        const [first, second] = target.split(path.sep);
        // What tests on a machine with Debian's programs have in common.
        if (first === "test" && isTest(file) && own !== "lib") return;
        if ((allowed !== undefined || own === "examples") && (first !== own || second !== ownPackage)) {
          refuse(`"${source}" leaves its package: import @tesserae/${second ?? first}/… instead`);
        }
        return;
      }
      const match = /^@tesserae\/([^/]+)/.exec(source);
      if (match?.[1] === undefined) {
        if (own === "lib" && !isTest(file)) refuse(`lib/ imports only lib/: "${source}" is a foreign package`);
        return;
      }
      const target = layerOfPackage[match[1]];
      if (target === undefined) refuse(`there is no package "${match[0]}"`);
      else if (allowed?.includes(target) === false && !isTest(file)) {
        refuse(`${own}/ must not import ${target}/ ("${source}")`);
      }
    };
    return {
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ImportExpression: check,
      ExportAllDeclaration: (node) =>
        context.report({ node, messageId: "no", data: { text: "name what is exported: no barrels" } }),
      ExportDefaultDeclaration: (node) =>
        context.report({ node, messageId: "no", data: { text: "no default exports" } }),
    };
  },
};

/** @type {Readonly<Record<string, readonly string[]>>} */
const ambient = { Date: ["now"], Math: ["random"], performance: ["now"], Atomics: ["wait"] };
/** @type {import("eslint").Rule.RuleModule} */
const noAmbient = {
  meta: { type: "problem", schema: [], messages: { no: "{{text}}: it arrives as an argument" } },
  create(context) {
    /** @param {import("estree").Node} node @param {string} text */
    const refuse = (node, text) => context.report({ node, messageId: "no", data: { text } });
    return {
      MemberExpression(node) {
        if (node.object.type !== "Identifier" || node.property.type !== "Identifier") return;
        if (ambient[node.object.name]?.includes(node.property.name)) {
          refuse(node, `no ${node.object.name}.${node.property.name} in lib/`);
        }
        if (node.object.name === "AbortSignal" && node.property.name === "timeout") {
          refuse(node, "no AbortSignal.timeout in lib/");
        }
      },
      NewExpression(node) {
        if (node.callee.type === "Identifier" && node.callee.name === "Date" && node.arguments.length === 0) {
          refuse(node, "no new Date() in lib/");
        }
      },
      Identifier(node) {
        if (node.name === "globalThis") refuse(node, "no globalThis in lib/");
      },
    };
  },
};

/** @type {import("eslint").Rule.RuleModule} */
const explainedAssertion = {
  meta: { type: "problem", schema: [], messages: { no: "say beside `as` why it holds: // as: …" } },
  create(context) {
    const source = context.sourceCode;
    return {
      /** @param {any} node estree has no node of this type */
      TSAsExpression(node) {
        const type = source.getText(node.typeAnnotation);
        if (type === "const" || isTest(relative(context))) return;
        const first = node.loc.start.line - 1;
        const last = node.loc.end.line;
        const near = source
          .getAllComments()
          .some(({ loc }) => loc !== undefined && loc !== null && loc.end.line >= first && loc.start.line <= last);
        if (!near) context.report({ node, messageId: "no" });
      },
    };
  },
};

const banned = /(^|[-/])(utils?|helpers?|manager|misc|common|stuff)([-.]|$)/;
/** @type {import("eslint").Rule.RuleModule} */
const fileNames = {
  meta: { type: "problem", schema: [], messages: { no: "{{text}}" } },
  create(context) {
    return {
      Program(node) {
        const name = path.basename(context.filename);
        const text = banned.test(name)
          ? `"${name}" says nothing: name the file after its concept`
          : /^[a-z0-9]+([-.][a-z0-9]+)*\.(d\.)?m?[tj]s$/.test(name)
            ? undefined
            : `"${name}" is not in kebab-case`;
        if (text !== undefined) context.report({ node, messageId: "no", data: { text } });
      },
    };
  },
};

export const architecture = {
  rules: {
    imports,
    "no-ambient": noAmbient,
    "explained-assertion": explainedAssertion,
    "file-names": fileNames,
  },
};
