import { rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import path from "node:path";
import { didYouMean } from "@tesserae/image/nearest";
import type { BuildRequest, Built } from "./build.ts";
import { forwardSignals, startImage } from "./child.ts";
import { commands, machineTargets, parseCommand, type Invocation } from "./command.ts";
import { completionScript, shells } from "./completion.ts";
import { costTable, grouped } from "./cost.ts";
import type { MachineRequest } from "./machine-image.ts";
import { createProject } from "./create.ts";
import { graphDot, graphJson, graphTree } from "./describe.ts";
import { Failure, usage } from "./failure.ts";
import { commandHelp, helpText } from "./help.ts";
import { openProject, relative } from "./project.ts";
import { checkStartable, startBuilt } from "./start.ts";
import { systemFailure } from "./system-failure.ts";
import { Terminal } from "./terminal.ts";
import { sizeTable } from "@tesserae/vm-image/sizes";
import { toolVersion } from "./tool-version.ts";

// The bundler and the compiler are loaded by the commands that need them.

/**
 * Runs one command of the tool; `argv` is what follows its name.
 *
 * @returns the exit status: 0, 1 for a mistake in the application, 2 for one on the command line, or the image's own.
 */
export async function tesserae(argv: readonly string[]): Promise<number> {
  const terminal = new Terminal();
  try {
    const [first] = argv;
    if (first === undefined || first === "--help" || first === "-h") {
      terminal.out(helpText(toolVersion()));
      return first === undefined ? 2 : 0;
    }
    if (first === "--version" || first === "-V") {
      terminal.out(toolVersion());
      return 0;
    }
    const invocation = parseCommand(argv);
    if (invocation.help) {
      terminal.out(commandHelp(invocation.command));
      return 0;
    }
    return await dispatch(invocation, terminal);
  } catch (error) {
    const told = error instanceof Failure ? error : systemFailure(error);
    if (told !== undefined) {
      terminal.error(told.status === 2 ? `tesserae: ${told.message}` : told.message);
      return told.status;
    }
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    terminal.error(`tesserae: error: this is a mistake in tesserae itself; please report it\n${text}`);
    return 70;
  }
}

async function dispatch(invocation: Invocation, terminal: Terminal): Promise<number> {
  const { argument, flags } = invocation;
  switch (invocation.command.name) {
    case "create": {
      const { name, needsInstall } = await createProject(argument, toolVersion());
      terminal.out(`made ${argument ?? name}; now:`);
      terminal.out(`  cd ${argument ?? name}`);
      if (needsInstall) terminal.out("  npm install");
      terminal.out("  npx tesserae run");
      return 0;
    }
    case "describe": {
      if ("dot" in flags && "json" in flags) throw usage("--dot and --json exclude each other");
      const { plan } = await import("./build.ts");
      const { graph } = await plan({ ...request(invocation, terminal), strict: true });
      terminal.out("dot" in flags ? graphDot(graph) : "json" in flags ? graphJson(graph) : graphTree(graph));
      return 0;
    }
    case "build": {
      const { buildImage } = await import("./build.ts");
      const built = await buildImage({ ...request(invocation, terminal), strict: true });
      warn(built, terminal);
      report(built, "json" in flags, terminal);
      return 0;
    }
    case "run": {
      const { buildImage } = await import("./build.ts");
      const wanted = request(invocation, terminal);
      await checkStartable(wanted);
      const built = await buildImage(wanted);
      warn(built, terminal);
      terminal.note(`${built.name} for ${built.target}: ${grouped(built.machine?.bytes ?? built.bytes)} B`);
      const image = await startBuilt(built, terminal);
      const done = forwardSignals(() => image);
      try {
        return await image.ended;
      } finally {
        done();
      }
    }
    case "dev": {
      const { develop } = await import("./dev.ts");
      const wanted = request(invocation, terminal);
      await checkStartable(wanted);
      return await develop(wanted, terminal);
    }
    case "sim swarm": {
      const [{ buildImage }, { readSwarmFlags, swarm }] = await Promise.all([
        import("./build.ts"),
        import("./swarm.ts"),
      ]);
      const wanted = readSwarmFlags(flags, availableParallelism());
      const project = openProject(argument);
      const built = await buildImage({ ...request(invocation, terminal), project, target: "sim" });
      warn(built, terminal);
      return await swarm(built, project, wanted, terminal);
    }
    case "sim replay": {
      if (argument === undefined) throw usage("sim replay needs the seed", "usage: tesserae sim replay SEED");
      const [{ buildImage }, { replayFlags }] = await Promise.all([import("./build.ts"), import("./swarm.ts")]);
      const project = openProject(undefined);
      const image = [...(await replayFlags(project, argument)), ...invocation.image];
      const built = await buildImage({
        ...request({ ...invocation, argument: undefined, image }, terminal),
        target: "sim",
      });
      warn(built, terminal);
      const running = startImage(built.image, built.rest);
      const done = forwardSignals(() => running);
      try {
        return await running.ended;
      } finally {
        done();
      }
    }
    case "clean": {
      const { folder } = openProject(argument);
      await rm(path.join(folder, ".tesserae"), { recursive: true, force: true });
      return 0;
    }
    case "completion": {
      const shell = shells.find((each) => each === argument);
      if (shell === undefined) {
        const hint = argument === undefined ? "" : didYouMean(argument, shells);
        throw usage(`no completion for shell "${argument ?? ""}"${hint}`, `shells: ${shells.join(", ")}`);
      }
      terminal.out(completionScript(shell).trimEnd());
      return 0;
    }
    default: {
      const about = commands.filter((each) => each.name === argument || each.name.split(" ")[0] === argument);
      if (argument !== undefined && about.length === 0) {
        const known = commands.map((each) => each.name);
        throw usage(`unknown command "${argument}"${didYouMean(argument, known)}`, `commands: ${known.join(", ")}`);
      }
      terminal.out(about.length === 0 ? helpText(toolVersion()) : about.map(commandHelp).join("\n\n"));
      return 0;
    }
  }
}

function request({ argument, flags, image }: Invocation, terminal: Terminal): BuildRequest {
  const target = flags["target"] ?? "node";
  return {
    project: openProject(argument),
    target,
    ...(machineTargets.includes(target) ? { machine: machineRequest(flags, target) } : {}),
    release: "release" in flags,
    check: !("no-check" in flags),
    files: flags["files"],
    image,
    strict: false,
    progress: (text) => terminal.progress(text),
  };
}

function machineRequest(flags: Invocation["flags"], target: string): MachineRequest {
  const icu = flags["icu"];
  return {
    // as: the command line's parser let only these through.
    formats: (flags["format"] ?? (target === "xen" ? "xl" : "direct")).split(",") as MachineRequest["formats"],
    node: flags["node"],
    sysroot: flags["sysroot"],
    icu: icu === undefined || icu === "en" || icu === "full" ? icu : icu.split(","),
  };
}

function warn(built: Built, terminal: Terminal): void {
  for (const warning of built.warnings) terminal.error(`warning: ${warning}`);
}

function report(built: Built, json: boolean, terminal: Terminal): void {
  const { name, target, image, map, manifest, bytes, costs, machine } = built;
  if (json) {
    terminal.out(JSON.stringify({ name, target, image, map, manifest, bytes, costs, machine }, undefined, 2));
    return;
  }
  if (machine !== undefined) {
    terminal.out(`${name} for ${target}: ${relative(machine.kernel)} and ${relative(machine.image)}`);
    for (const [format, file] of Object.entries(machine.formats)) {
      if (format !== "direct") terminal.out(`  ${format}: ${relative(file)}`);
    }
    for (const line of sizeTable(machine.sizes)) terminal.out(line);
  }
  terminal.out(
    `${machine === undefined ? `${name} for ${target}` : "the application"}: ${relative(image)}, ${grouped(bytes)} B`,
  );
  for (const line of costTable(costs)) terminal.out(line);
}
