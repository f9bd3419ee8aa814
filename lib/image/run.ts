import { describeType, flagOf, KeyError, parseKey, type KeyPlan, type KeyProblem, type KeyValue } from "./key.ts";
import { didYouMean } from "./nearest.ts";
import type { BaseDevice, ImageHost, ImagePlan, MadeDevice } from "./plan.ts";

/** A device that could not be made. The cause is what its factory threw. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
  /** The device's id in the plan. */
  readonly device: string;

  constructor(device: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.device = device;
  }
}

/**
 * Turns the texts of run-time keys into their values, defaults included.
 *
 * @throws KeyError naming every key that is unknown, missing or malformed.
 */
export function parseKeys(
  plans: readonly KeyPlan[],
  texts: Readonly<Record<string, string>>,
): Readonly<Record<string, KeyValue>> {
  const problems: KeyProblem[] = [];
  const values: Record<string, KeyValue> = {};
  const known = new Set(plans.map((plan) => plan.name));
  for (const name of Object.keys(texts)) {
    if (known.has(name)) continue;
    const message = `there is no key "${name}"${didYouMean(name, known)}`;
    problems.push({ kind: "unknown", key: name, message });
  }
  for (const plan of plans) {
    const text = Object.hasOwn(texts, plan.name) ? texts[plan.name] : plan.default;
    if (text === undefined) {
      const message = `key "${plan.name}" has no value: give --${flagOf(plan.name)}, ${describeType(plan.type)}`;
      problems.push({ kind: "missing", key: plan.name, message });
      continue;
    }
    const parsed = parseKey(plan.type, text);
    if (parsed.ok) values[plan.name] = parsed.value;
    else {
      const message = `--${flagOf(plan.name)}: ${parsed.message}`;
      problems.push({ kind: "malformed", key: plan.name, given: text, message });
    }
  }
  if (problems.length > 0) throw new KeyError(problems);
  return values;
}

/**
 * Makes the devices in order, runs main, and closes in reverse order every device made that has a `close` method.
 *
 * When the signal aborts before main has begun, main does not run; a device still in the making is closed once it is
 * made.
 *
 * @throws (rejects) KeyError; DeviceError when a device cannot be made; else what main threw. What `close` throws is
 * reported to the host.
 */
export async function runImage(plan: ImagePlan, host: ImageHost): Promise<void> {
  const keys = { ...plan.constants, ...parseKeys(plan.keys, host.keys) };
  const devices = new Map<string, unknown>();
  const made: unknown[] = [];
  const supplied = new Map<string, number>();
  try {
    for (const device of plan.devices) {
      if (host.signal.aborted) return;
      if (device.base === true) {
        devices.set(device.id, supply(device, host, supplied, plan));
        continue;
      }
      const making = make(device, devices, keys);
      const ready = await untilAborted(making, host.signal);
      if (ready === aborted) {
        void making.then((late) => close(late, host)).catch(() => undefined);
        return;
      }
      devices.set(device.id, ready);
      made.push(ready);
      await host.made?.(device, ready);
    }
    const bound: Record<string, unknown> = {};
    for (const [property, id] of Object.entries(plan.bindings)) {
      if (!devices.has(id)) throw new DeviceError(id, `main needs device "${id}", which is not in the plan`);
      bound[property] = devices.get(id);
    }
    await plan.main({ ...bound, keys, signal: host.signal });
  } finally {
    for (const device of made.reverse()) await close(device, host);
  }
}

const aborted = Symbol("aborted");

/** The base device for `device`; `supplied` counts those of kinds that there may be several of. */
function supply(device: BaseDevice, host: ImageHost, supplied: Map<string, number>, plan: ImagePlan): unknown {
  const { id, kind } = device;
  const several = host.several?.[kind] ?? [];
  if (several.length === 0 && Object.hasOwn(host.base, kind)) return host.base[kind];
  const index = supplied.get(kind) ?? 0;
  supplied.set(kind, index + 1);
  if (index < several.length) return several[index];
  const what = index === 0 ? `no ${kind}` : `only ${String(index)} of kind ${kind}`;
  throw new DeviceError(id, `target ${plan.target} supplies ${what} (device "${id}")`);
}

async function make(
  device: MadeDevice,
  devices: ReadonlyMap<string, unknown>,
  keys: Readonly<Record<string, KeyValue>>,
): Promise<unknown> {
  const args: Record<string, unknown> = {};
  for (const [parameter, option] of Object.entries(device.options)) {
    args[parameter] = "key" in option ? keys[option.key] : option.value;
  }
  for (const [parameter, id] of Object.entries(device.needs)) {
    if (!devices.has(id)) {
      throw new DeviceError(device.id, `device "${device.id}" needs "${id}", which is not made before it`);
    }
    args[parameter] = devices.get(id);
  }
  try {
    return await device.create(args);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DeviceError(device.id, `cannot make device "${device.id}" (${device.implementation}): ${why}`, { cause });
  }
}

/** Settles as `making` does, or resolves to `aborted` when that comes first. */
function untilAborted(making: Promise<unknown>, signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(aborted);
    signal.addEventListener("abort", stop, { once: true });
    making.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

async function close(device: unknown, host: ImageHost): Promise<void> {
  if (typeof device !== "object" || device === null || !("close" in device)) return;
  if (typeof device.close !== "function") return;
  try {
    // as: it is a function, and what it takes and returns is of no interest.
    await (device as { close(): unknown }).close();
  } catch (error) {
    host.report(error);
  }
}
