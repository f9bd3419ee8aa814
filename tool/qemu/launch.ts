import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { Duplex } from "node:stream";
import { controlDescriptor, machineArguments, type MachineOptions } from "./arguments.ts";
import { imageStatus, type Ending } from "./exit-status.ts";
import { MachineError } from "./failure.ts";
import type { Qemu } from "./find.ts";
import { QmpClient } from "./qmp.ts";
import { SerialText } from "./serial.ts";

/** What QEMU itself may have to say, in characters. */
const stderrBound = 8192;

/** A process of QEMU, with whatever machine is in it. */
export interface QemuProcess {
  /** The process of QEMU. */
  readonly pid: number;
  /** How it ended. @throws MachineError (rejects) when it could not be started. */
  readonly ended: Promise<Ending>;
  readonly qmp: QmpClient;
  /** Types text on the console. */
  write(text: string): void;
  /** Ends the machine at once. Idempotent. */
  kill(): void;
}

export interface ProcessOptions {
  readonly qemu: Qemu;
  /** Options for QEMU, with {@link channelArguments} among them. */
  readonly args: readonly string[];
  /** The folder that it runs in. Default: this process's. */
  readonly folder?: string;
  /** Gets what the machine writes on its console, as text with one line feed a line. Must not throw. */
  onConsole(text: string): void;
}

/** Starts QEMU with a console on its standard input and output and a control connection. */
export function startQemu(options: ProcessOptions): QemuProcess {
  const [program = "", ...args] = dyingWithUs([options.qemu.path, ...options.args]);
  // In a process group of its own: a Ctrl-C on the terminal is for us, who press the power button.
  const child = spawn(program, args, { cwd: options.folder, stdio: ["pipe", "pipe", "pipe", "pipe"], detached: true });
  const serial = new SerialText();
  const show = (text: string): void => {
    if (text !== "") options.onConsole(text);
  };
  child.stdout.on("data", (chunk: Uint8Array) => show(serial.take(chunk)));
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(0, stderrBound);
  });
  // Typing into a machine that is gone is no mistake of ours.
  child.stdin.on("error", () => undefined);
  let reason: string | undefined;
  const control = child.stdio[controlDescriptor];
  if (!(control instanceof Duplex)) throw new TypeError("the control connection is not a stream both ways");
  const qmp = new QmpClient(control, ({ name, data }) => {
    if (name === "SHUTDOWN" && typeof data["reason"] === "string") reason = data["reason"];
  });
  const ended = new Promise<Ending>((resolve, reject) => {
    child.once("error", (error) => reject(new MachineError(`QEMU cannot be started: ${error.message}`)));
    child.once("close", (code, signal) => {
      show(serial.end());
      resolve({ code, signal, told: serial.status, stderr, reason });
    });
  });
  // Whoever does not ask how it ended is not to be ended by it.
  ended.catch(() => undefined);
  return {
    pid: child.pid ?? 0,
    ended,
    qmp,
    write: (text) => void child.stdin.write(text),
    kill: () => void child.kill("SIGKILL"),
  };
}

/** A running machine. */
export interface Machine extends Pick<QemuProcess, "pid" | "qmp" | "write" | "kill"> {
  /**
   * The status that the image ended with, 0 to 127.
   *
   * @throws MachineError (rejects) when the machine ended without a status: QEMU refused, crashed or was killed.
   */
  readonly exited: Promise<number>;
  /** Presses the power button. @throws QmpError (rejects) when the machine is gone. */
  powerButton(): Promise<void>;
}

export interface LaunchOptions extends MachineOptions {
  readonly qemu: Qemu;
  /** Gets what the machine writes on its console, as text with one line feed a line. Must not throw. */
  onConsole(text: string): void;
}

/** Starts a machine. What is wrong with it is told by `exited`. */
export function launch(options: LaunchOptions): Machine {
  const process = startQemu({
    qemu: options.qemu,
    args: machineArguments(options),
    onConsole: (text) => options.onConsole(text),
  });
  const exited = process.ended.then(imageStatus);
  // Whoever does not ask how it ended is not to be ended by it.
  exited.catch(() => undefined);
  return {
    pid: process.pid,
    exited,
    qmp: process.qmp,
    async powerButton() {
      await process.qmp.execute("system_powerdown");
    },
    write: (text) => process.write(text),
    kill: () => process.kill(),
  };
}

/** The command, wrapped so that the system ends it when this process is killed, on systems that can. */
function dyingWithUs(command: readonly string[]): readonly string[] {
  const wrapper = "/usr/bin/setpriv";
  // BusyBox has one of that name that cannot.
  if (!existsSync(wrapper) || realpathSync(wrapper).includes("busybox")) return command;
  return [wrapper, "--pdeathsig", "KILL", "--", ...command];
}
