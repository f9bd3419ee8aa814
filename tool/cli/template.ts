/** The files of a new project: a small web server. */
export function templateFiles(name: string, version: string): Readonly<Record<string, string>> {
  const range = `^${version}`;
  const ours = (names: readonly string[]): Record<string, string> =>
    Object.fromEntries(names.map((each) => [`@tesserae/${each}`, range]));
  const manifest = {
    name,
    version: "0.1.0",
    private: true,
    type: "module",
    scripts: {
      start: "tesserae run",
      dev: "tesserae dev",
      build: "tesserae build",
      simulate: "tesserae run --target sim",
      typecheck: "tsc",
    },
    dependencies: ours([
      "block",
      "config",
      "device",
      "http",
      "image",
      "kv",
      "log",
      "node",
      "sim",
      "tap",
      "tcpip",
      "time",
    ]),
    devDependencies: { ...ours(["cli"]), typescript: "^6.0.0" },
  };
  const compilerOptions = {
    target: "ES2022",
    lib: ["ES2023", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
    types: [],
    module: "ESNext",
    moduleResolution: "Bundler",
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    verbatimModuleSyntax: true,
    isolatedModules: true,
    allowImportingTsExtensions: true,
    noEmit: true,
    skipLibCheck: true,
  };
  return {
    "package.json": json(manifest),
    "tsconfig.json": json({ compilerOptions, include: ["*.ts"] }),
    ".gitignore": "node_modules/\n.tesserae/\n",
    "tesserae.config.ts": `import { defineConfig, device, key } from "@tesserae/config/config";

/** What the application takes and wants; \`main\` gets its types from here. */
export const config = defineConfig({
  name: ${JSON.stringify(name)},
  main: "./main.ts",
  scenario: "./sim.ts",
  keys: {
    port: key.port({ default: 8080, doc: "TCP port to serve on" }),
    greeting: key.string({ default: "Hello", doc: "how to greet" }),
  },
  devices: {
    stack: device.stack(),
    site: device.files("./site"),
    timers: device.timers(),
    log: device.log(),
  },
});
`,
    "main.ts": `import type { Devices } from "@tesserae/config/config";
import { formatEndpoint } from "@tesserae/device/address";
import { serve } from "@tesserae/http/server";
import { staticFiles } from "@tesserae/http/static-files";
import type { config } from "./tesserae.config.ts";

/** Serves the files of ./site and one dynamic page, until it is asked to stop. */
export async function main({ stack, site, timers, log, keys, signal }: Devices<typeof config>): Promise<void> {
  const files = staticFiles(site);
  const server = await serve({ tcp: stack.tcp, timers, port: keys.port, signal, log }, (request) => {
    const { pathname } = new URL(request.url);
    const guest = /^\\/hello\\/([\\w-]+)$/.exec(pathname)?.[1];
    return guest === undefined ? files(request) : new Response(\`\${keys.greeting}, \${guest}!\\n\`);
  });
  log.info("serving", { at: formatEndpoint(server.local) });
  await server.closed;
}
`,
    "sim.ts": `import { createClient } from "@tesserae/http/client";
import type { World } from "@tesserae/sim/world";

/** What must be on each page. */
const pages = { "/": "<h1>", "/hello/you": "Hello, you!" };

/** What \`npm run simulate\` does: three guests fetch every page at the same time. What throws fails the run. */
export function scenario(world: World): void {
  const server = world.image("server", { keys: { port: "8080", greeting: "Hello" } });
  for (const name of ["ann", "bob", "cyd"]) {
    world.host(name).run(async ({ stack, resolver, timers, console }) => {
      await server.ready;
      const client = createClient({ tcp: stack.tcp, resolver, timers });
      for (const [page, words] of Object.entries(pages)) {
        const response = await client.fetch(\`http://server:8080\${page}\`);
        const text = await response.text();
        if (response.status !== 200) throw new Error(\`\${page} answers \${response.status}\`);
        if (!text.includes(words)) throw new Error(\`\${page} is without "\${words}"\`);
        console.writeLine(\`\${page}: \${text.length} characters, as expected\`);
      }
      await client.close();
    });
  }
}
`,
    "site/index.html": `<!doctype html>
<html lang="en">
  <meta charset="utf-8" />
  <title>${name}</title>
  <h1>${name}</h1>
  <p>Served by <a href="/hello/you">an application with its own operating system</a>.</p>
</html>
`,
    "README.md": `# ${name}

    npm install
    npm start                        # http://localhost:8080, on the kernel's sockets
    npm start -- --port 9000         # keys of tesserae.config.ts are flags
    npm run dev                      # runs again whenever a file changes
    npm run simulate                 # the same application in the simulator
    npx tesserae run --target tap    # the same on its own TCP/IP stack (Linux)
    npx tesserae run --target vm     # the same as a machine of its own, in QEMU
    npx tesserae describe            # what it is made of
    npx tesserae build --release     # one file, in .tesserae/node/

- \`tesserae.config.ts\`: the devices and keys that the application wants
- \`main.ts\`: the application; it gets them as the argument of \`main\`
- \`site/\`: files that are compiled into the image
- \`sim.ts\`: the network that \`npm run simulate\` makes, its guests and what they expect

\`npm run simulate -- --loss 10% --seed 3\` spoils that network; a run that fails prints the command that repeats it.
`,
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
