import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { Duplex } from "node:stream";
import { controlDescriptor, machineArguments, type MachineOptions } from "./arguments.ts";
import { imageStatus } from "./exit-status.ts";
import { MachineError } from "./failure.ts";
import type { Qemu } from "./find.ts";
import { QmpClient } from "./qmp.ts";
import { SerialText } from "./serial.ts";

/** What QEMU itself may have to say, in characters. */
const stderrBound = 8192;

/** A running machine. */
export interface Machine {
  /** The process of QEMU. */
  readonly pid: number;
  /**
   * The status that the image ended with, 0 to 127.
   *
   * @throws MachineError (rejects) when the machine ended without a status: QEMU refused, crashed or was killed.
   */
  readonly exited: Promise<number>;
  readonly qmp: QmpClient;
  /** Presses the power button. @throws QmpError (rejects) when the machine is gone. */
  powerButton(): Promise<void>;
  /** Types text on the console. */
  write(text: string): void;
  /** Ends the machine at once. Idempotent. */
  kill(): void;
}

export interface LaunchOptions extends MachineOptions {
  readonly qemu: Qemu;
  /** Gets what the machine writes on its console, as text with one line feed a line. Must not throw. */
  onConsole(text: string): void;
}

/** Starts a machine. What is wrong with it is told by `exited`. */
export function launch(options: LaunchOptions): Machine {
  const [program = "", ...args] = dyingWithUs([options.qemu.path, ...machineArguments(options)]);
  // In a process group of its own: a Ctrl-C on the terminal is for us, who press the power button.
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe", "pipe"], detached: true });
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
  const exited = new Promise<number>((resolve, reject) => {
    child.once("error", (error) => reject(new MachineError(`QEMU cannot be started: ${error.message}`)));
    child.once("close", (code, signal) => {
      show(serial.end());
      try {
        resolve(imageStatus({ code, signal, told: serial.status, stderr, reason }));
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
  // Whoever does not ask how it ended is not to be ended by it.
  exited.catch(() => undefined);
  return {
    pid: child.pid ?? 0,
    exited,
    qmp,
    async powerButton() {
      await qmp.execute("system_powerdown");
    },
    write: (text) => void child.stdin.write(text),
    kill: () => void child.kill("SIGKILL"),
  };
}

/** The command, wrapped so that the system ends it when this process is killed, on systems that can. */
function dyingWithUs(command: readonly string[]): readonly string[] {
  const wrapper = "/usr/bin/setpriv";
  // BusyBox has one of that name that cannot.
  if (!existsSync(wrapper) || realpathSync(wrapper).includes("busybox")) return command;
  return [wrapper, "--pdeathsig", "KILL", "--", ...command];
}
