import { connect, createServer, type Server, type Socket } from "node:net";
import { lstat, rm } from "node:fs/promises";
import { FlowError, type Flow } from "@tesserae/device/flow";
import type { LocalListener, LocalSockets } from "@tesserae/device/local";
import { codeOf, flowError } from "./flow-fault.ts";
import { KernelFlow } from "./kernel-flow.ts";

/** The kernel's limit: `sun_path` with its NUL, in bytes. */
const longestPath = 107;
/** How long a flow's `close` waits for the peer's end, in milliseconds. */
const linger = 10_000;
/** Only this user may connect: whoever does may do everything. */
const ownersOnly = 0o177;

export interface LocalSocketsOptions {
  /** Gets what an accept handler threw or rejected with. Default: one line and the stack on stderr. */
  readonly report?: (error: unknown) => void;
}

/** Unix sockets of the kernel. */
export function createLocalSockets(options: LocalSocketsOptions = {}): LocalSockets {
  const report =
    options.report ??
    ((error: unknown): void => {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    });
  return {
    listen: (path, accept) => listen(path, accept, report),
    connect: async (path) => new KernelFlow(await connected(path), linger, () => undefined),
  };
}

async function listen(
  path: string,
  accept: (flow: Flow) => void | Promise<void>,
  report: (error: unknown) => void,
): Promise<LocalListener> {
  checkPath(path);
  const doing = `listening on ${path}`;
  if (await isLeftOver(path)) await rm(path, { force: true });
  const server = createServer({ allowHalfOpen: true });
  server.on("connection", (socket: Socket) => {
    const flow = new KernelFlow(socket, linger, () => undefined);
    Promise.resolve()
      .then(() => accept(flow))
      .catch((error: unknown) => {
        flow.abort();
        report(error);
      });
  });
  await bound(server, path, doing);
  server.on("error", (error) => report(flowError(error, doing)));
  let closing: Promise<void> | undefined;
  return {
    close: () => (closing ??= new Promise((resolve) => server.close(() => resolve()))),
  };
}

function bound(server: Server, path: string, doing: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const before = process.umask(ownersOnly);
    server.once("error", (error) => reject(flowError(error, doing)));
    server.listen(path, () => {
      server.removeAllListeners("error");
      resolve();
    });
    // The name was made in the call.
    process.umask(before);
  });
}

/** A socket at the path that nobody listens on. @throws FlowError when something else is there, or somebody listens. */
async function isLeftOver(path: string): Promise<boolean> {
  const there = await lstat(path).catch(() => undefined);
  if (there === undefined) return false;
  const taken = new FlowError("address-in-use", `listening on ${path}: something is there already`);
  if (!there.isSocket()) throw taken;
  try {
    const socket = await connected(path);
    socket.destroy();
  } catch (error) {
    if (error instanceof FlowError && error.kind === "refused") return true;
    throw error;
  }
  throw taken;
}

function connected(path: string): Promise<Socket> {
  checkPath(path);
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true });
    socket.once("error", (error) => {
      const doing = `connecting to ${path}`;
      const isAbsent = codeOf(error) === "ENOENT";
      reject(isAbsent ? new FlowError("refused", `${doing}: it does not exist`) : flowError(error, doing));
    });
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}

function checkPath(path: string): void {
  if (path === "" || Buffer.byteLength(path) > longestPath || path.includes("\0")) {
    throw new RangeError(`"${path}" is no path of a socket: 1 to ${String(longestPath)} bytes`);
  }
}
