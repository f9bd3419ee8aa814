import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import process from "node:process";
import { MachineError } from "./failure.ts";

/** The host's side of a tap device. */
export interface TapSide {
  /** Of the interface: `tap0`. */
  readonly name: string;
  /** Given to the interface when it has no address: `10.0.0.1/24`. */
  readonly hostAddress: string;
}

/**
 * Makes sure that the tap device is there, up and with an address, changing only what differs; one that is part of a
 * bridge needs no address.
 *
 * @throws MachineError with the commands that would help, when a change is needed but not allowed.
 */
export function prepareTap({ name, hostAddress }: TapSide): void {
  if (process.platform !== "linux") throw new MachineError("--tap: tap devices are Linux's", "leave --tap out");
  if (!/^[\w.-]{1,15}$/.test(name)) throw new MachineError(`--tap: "${name}" is not the name of an interface`);
  if (!/^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/.test(hostAddress)) {
    throw new MachineError(`--host-address: "${hostAddress}" is not an address such as 10.0.0.1/24`);
  }
  if (!existsSync(`/sys/class/net/${name}`)) run(name, hostAddress, ["tuntap", "add", "dev", name, "mode", "tap"]);
  if (!existsSync(`/sys/class/net/${name}/tun_flags`)) throw new MachineError(`--tap: "${name}" is no tap device`);
  if (!existsSync(`/sys/class/net/${name}/master`) && !hasAddress(name)) {
    run(name, hostAddress, ["address", "add", hostAddress, "dev", name]);
  }
  if (!isUp(name)) run(name, hostAddress, ["link", "set", "dev", name, "up"]);
}

function hasAddress(name: string): boolean {
  return show(["-4", "-o", "address", "show", "dev", name]).includes("inet ");
}

function isUp(name: string): boolean {
  return /[<,]UP[,>]/.test(show(["-o", "link", "show", "dev", name]));
}

function show(words: readonly string[]): string {
  return spawnSync("ip", words, { encoding: "utf8", timeout: 10_000 }).stdout;
}

function run(name: string, hostAddress: string, words: readonly string[]): void {
  const { status, stderr, error } = spawnSync("ip", words, { encoding: "utf8", timeout: 10_000 });
  if (status === 0) return;
  throw new MachineError(
    `--tap: the device cannot be set up: ${error?.message ?? stderr.trim()}`,
    [
      "run this once; from then on no privilege is needed:",
      `  sudo ip tuntap add dev ${name} mode tap user ${userInfo().username}`,
      `  sudo ip address add ${hostAddress} dev ${name}`,
      `  sudo ip link set dev ${name} up`,
    ].join("\n"),
  );
}
