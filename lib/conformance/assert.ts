/** The few assertions that the suites need. Each throws {@link ConformanceError} with what was expected. */
import { FlowError, type FlowErrorKind } from "@tesserae/device/flow";
import { ConformanceError } from "./suite.ts";

/** Fails with `message` unless `condition` holds. */
export function ensure(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ConformanceError(message);
}

/** Fails unless the two are the same value, or arrays (also of bytes) of the same values. */
export function ensureEqual(actual: unknown, expected: unknown, what: string): void {
  if (isSame(actual, expected)) return;
  throw new ConformanceError(`${what}: expected ${show(expected)}, got ${show(actual)}`);
}

/** Fails unless `action` throws an error of the class. */
export function ensureThrows(action: () => unknown, type: ErrorClass, what: string): void {
  let thrown: unknown;
  try {
    action();
  } catch (error) {
    thrown = error;
  }
  ensure(thrown instanceof type, `${what}: expected ${type.name}, got ${show(thrown)}`);
}

/** Fails unless `promise` rejects with an error of the class; gives the error. */
export async function ensureRejects<E extends Error>(
  promise: Promise<unknown>,
  type: ErrorClass<E>,
  what: string,
): Promise<E> {
  let thrown: unknown;
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    thrown = error;
  }
  if (thrown instanceof type) return thrown;
  const got = thrown === undefined ? `resolved to ${show(value)}` : `rejected with ${show(thrown)}`;
  throw new ConformanceError(`${what}: expected to reject with ${type.name}, ${got}`);
}

/** Fails unless `promise` rejects with a FlowError of one of `kinds`; gives the error. */
export async function ensureFlowError(
  promise: Promise<unknown>,
  kinds: FlowErrorKind | readonly FlowErrorKind[],
  what: string,
): Promise<FlowError> {
  const allowed: readonly string[] = typeof kinds === "string" ? [kinds] : kinds;
  const error = await ensureRejects(promise, FlowError, what);
  ensure(allowed.includes(error.kind), `${what}: expected kind ${allowed.join(" or ")}, got ${show(error)}`);
  return error;
}

export type ErrorClass<E extends Error = Error> = new (...parameters: never[]) => E;

function isSame(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (one instanceof Uint8Array && other instanceof Uint8Array) {
    return one.length === other.length && one.every((value, index) => value === other[index]);
  }
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((value, index) => isSame(value, other[index]));
  }
  return false;
}

function show(value: unknown): string {
  if (value instanceof Error) {
    const kind = "kind" in value ? ` (${String(value.kind)})` : "";
    return `${value.name}${kind}: ${value.message}`;
  }
  if (value instanceof Uint8Array) {
    const start = Array.from(value.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    return `${String(value.length)} bytes [${start}${value.length > 16 ? " …" : ""}]`;
  }
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
  return typeof value === "string" ? `"${value}"` : String(value);
}
