import { parentPort, workerData } from "node:worker_threads";

/** The instances of one image at most: each is a thread with an engine of its own. */
export const mostInstances = 64;

/** Which of the instances of an image this thread is. The first is the main thread; the others are its workers. */
export interface Instance {
  /** From 0. */
  readonly index: number;
  readonly count: number;
  /** What the first one's target made for all; absent in the first. Descriptors, numbers and shared memory. */
  readonly shared: unknown;
}

/** What a worker says to the main thread: what it counted, when its image is over. */
export interface InstanceReport {
  readonly counters: Readonly<Record<string, number>>;
}

/** The one message to a worker: that the image is to stop. */
export const stopMessage = "stop";

let own: Instance | undefined;

/** This thread's place. Until the image's command line is read, the first of one. */
export function instance(): Instance {
  return (own ??= assigned() ?? { index: 0, count: 1, shared: undefined });
}

/** Whether this thread is a worker that an image's main thread started. */
export function isFurtherInstance(): boolean {
  return instance().index > 0;
}

/** The main thread says how many there are. */
export function countInstances(count: number): void {
  own = { index: 0, count, shared: undefined };
}

/** What a worker is given at its start. */
export interface InstanceAssignment {
  readonly tesseraeInstance: Instance;
}

function assigned(): Instance | undefined {
  const data: unknown = workerData;
  if (parentPort === null || typeof data !== "object" || data === null || !("tesseraeInstance" in data))
    return undefined;
  // as: no one else names a property of the data of a worker like this
  return (data as InstanceAssignment).tesseraeInstance;
}
