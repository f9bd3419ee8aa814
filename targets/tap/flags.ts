import { IpAddress, Prefix } from "@tesserae/device/address";
import type { FlagPlan } from "@tesserae/image/arguments";
import type { KeyPlan } from "@tesserae/image/key";
import type { FaultRates } from "@tesserae/netif/faults";
import { readIpv4Flags } from "@tesserae/node/ipv4-flags";
import { queuesFlag, StartError } from "@tesserae/node/run-process";
import { checkInterfaceName } from "./tun.ts";

/** The flags of the tap target's `boot`. */
export const tapFlags: readonly FlagPlan[] = [
  {
    name: "tap",
    value: "NAME",
    doc: "tap device to run on (default tap0), or several with commas between them; made when that is allowed",
  },
  {
    name: "tap-fd",
    value: "NUMBER",
    doc: "descriptor of a tap device that whoever started this process has opened",
  },
  {
    name: "xdp",
    value: "NAME",
    doc: "interface to take over from the kernel (AF_XDP; needs root) instead of a tap device, or several",
  },
  {
    name: "host-address",
    value: "PREFIX",
    doc: "the kernel's address on it, unless it has one (default: our gateway); of several devices, several",
  },
  queuesFlag,
  { name: "mtu", value: "BYTES", doc: "largest packet, 576 to 65521 (default: the device's)" },
  { name: "gateway", value: "ADDRESS", doc: "our router (default: the kernel)" },
  { name: "dhcp", doc: "ask the network for an address, as --ipv4 dhcp" },
  { name: "pcap", value: "FILE", doc: "write every frame to a pcapng file" },
  { name: "trace", doc: "print a line for every frame to stderr" },
  { name: "loss", value: "SHARE", doc: "lose frames: 0.05 or 5%" },
  { name: "duplicate", value: "SHARE", doc: "deliver frames twice" },
  { name: "corrupt", value: "SHARE", doc: "flip a bit in frames" },
  { name: "reorder", value: "SHARE", doc: "hold frames back, so that others overtake them" },
  { name: "delay", value: "DURATION", doc: "delay every frame: 50 or 50ms, each way" },
  { name: "jitter", value: "DURATION", doc: "delay by up to this much more" },
];

/** One device: a tap device, or an interface that is taken over. */
export interface TapDevice {
  readonly kind: "tap" | "xdp";
  readonly name: string;
  /** A tap device that is open; `name` is only for messages then. */
  readonly fd?: number;
  readonly hostAddress: Prefix | undefined;
}

/** What the flags ask for. */
export interface TapFlags {
  /** One for each interface of the image, at least one. */
  readonly devices: readonly TapDevice[];
  readonly mtu: number | undefined;
  /** The text for the stack's key `ipv4`, when a flag sets it. */
  readonly ipv4: string | undefined;
  readonly pcap: string | undefined;
  readonly trace: boolean;
  /** Absent when nothing is to go wrong. */
  readonly faults: FaultRates | undefined;
}

/**
 * Reads the flags given.
 *
 * @param keys the run-time keys of the image
 * @param given the texts of those that were given
 * @throws StartError naming the flag.
 */
export function readFlags(
  flags: Readonly<Record<string, string>>,
  keys: readonly KeyPlan[],
  given: Readonly<Record<string, string>>,
): TapFlags {
  const taken = flags["xdp"] === undefined ? [] : readNames("xdp", flags["xdp"]);
  const fd = readDescriptor(flags["tap-fd"]);
  const isOther = taken.length > 0 || fd !== undefined;
  const names = flags["tap"] === undefined && isOther ? [] : readNames("tap", flags["tap"] ?? "tap0");
  const both = names.find((name) => taken.includes(name));
  if (both !== undefined) throw new StartError(`--xdp: "${both}" is a tap device here`);
  const mtu = flags["mtu"] === undefined ? undefined : Number(flags["mtu"]);
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= 576 && mtu <= 65_521)) {
    throw new StartError(`--mtu: "${flags["mtu"] ?? ""}" is not an integer from 576 to 65521`);
  }
  const key = keys.find((each) => each.name === "ipv4" && each.type.kind === "interface4");
  const before = given["ipv4"] ?? key?.default;
  const ipv4 = readIpv4Flags(flags, before);
  if (ipv4 !== undefined && key === undefined) {
    throw new StartError(`--${"dhcp" in flags ? "dhcp" : "gateway"}: this image has no stack of its own to configure`);
  }
  const hostTexts = flags["host-address"]?.split(",") ?? [];
  if (hostTexts.length > names.length) throw new StartError("--host-address: more addresses than tap devices");
  const taps = names.map((name, index): TapDevice => {
    const text = hostTexts[index]?.trim();
    const hostAddress =
      text !== undefined && text !== ""
        ? read("host-address", () => prefix4(text))
        : index === 0
          ? kernelSide(ipv4 ?? before)
          : undefined;
    return { kind: "tap", name, hostAddress };
  });
  const inherited: TapDevice[] = fd === undefined ? [] : [{ kind: "tap", name: `fd${fd}`, fd, hostAddress: undefined }];
  const devices = [
    ...taps,
    ...inherited,
    ...taken.map((name): TapDevice => ({ kind: "xdp", name, hostAddress: undefined })),
  ];
  return {
    devices,
    mtu,
    ipv4,
    pcap: flags["pcap"],
    trace: "trace" in flags,
    faults: readFaults(flags),
  };
}

function readDescriptor(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,6}$/.test(text) || Number(text) < 3)
    throw new StartError(`--tap-fd: "${text}" is not a number from 3 on`);
  return Number(text);
}

function readNames(flag: string, text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  for (const name of names) read(flag, () => checkInterfaceName(name));
  if (new Set(names).size < names.length) throw new StartError(`--${flag}: "${names.join(",")}" has one device twice`);
  return names;
}

/** The kernel's address that suits ours: our router, when it is on the link, else the first one free. */
function kernelSide(ipv4: string | undefined): Prefix | undefined {
  const [ownText, , gatewayText] = (ipv4 ?? "dhcp").split(" ");
  let own: Prefix;
  try {
    own = prefix4(ownText ?? "");
  } catch {
    // DHCP, or a text that the key itself will be refused for.
    return undefined;
  }
  const gateway = IpAddress.tryParse(gatewayText ?? "");
  if (gateway?.family === 4 && own.contains(gateway)) return new Prefix(gateway, own.length);
  if (own.length > 30) return undefined;
  const first = IpAddress.v4((own.address.w3 & (own.length === 0 ? 0 : -1 << (32 - own.length))) + 1);
  return new Prefix(first.equals(own.address) ? IpAddress.v4(first.w3 + 1) : first, own.length);
}

function prefix4(text: string): Prefix {
  const prefix = Prefix.parse(text);
  if (prefix.address.family !== 4) throw new RangeError(`"${text}" is not an IPv4 address`);
  return prefix;
}

function readFaults(flags: Readonly<Record<string, string>>): FaultRates | undefined {
  const rates: Record<string, number> = {};
  for (const name of ["loss", "duplicate", "corrupt", "reorder"]) {
    const text = flags[name];
    if (text === undefined) continue;
    const match = /^(\d+(?:\.\d+)?|\.\d+)(%?)$/.exec(text);
    const share = match === null ? NaN : Number(match[1]) / (match[2] === "%" ? 100 : 1);
    if (!(share <= 1)) throw new StartError(`--${name}: "${text}" is not a share such as 0.05 or 5%`);
    rates[name] = share;
  }
  for (const name of ["delay", "jitter"]) {
    const text = flags[name];
    if (text === undefined) continue;
    const match = /^(\d+(?:\.\d+)?)(ms|s)?$/.exec(text);
    if (match === null) throw new StartError(`--${name}: "${text}" is not a duration such as 50ms or 0.1s`);
    rates[name] = Number(match[1]) * (match[2] === "s" ? 1000 : 1);
  }
  return Object.keys(rates).length === 0 ? undefined : rates;
}

function read<T>(flag: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new StartError(`--${flag}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
