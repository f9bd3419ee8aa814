import { failure } from "./failure.ts";

/** Bytes that the kernel and a small application need beside the image. */
const leastBeside = 24 * 2 ** 20;

/**
 * Makes sure that a machine has enough memory to start.
 *
 * @param memory the machine's, in bytes
 * @param image bytes of it that kernel and image take; 0 where they are mapped beside it
 * @throws Failure naming how much it takes.
 */
export function requireMemory(memory: number, image: number): void {
  const least = leastBeside + image;
  if (memory >= least) return;
  const size = (bytes: number): string => `${String(Math.ceil(bytes / 2 ** 20))}M`;
  throw failure(
    image === 0
      ? `--memory ${size(memory)} is too little for Node.js`
      : `--memory ${size(memory)} is too little: kernel and image take ${size(image)} by themselves`,
    `give at least --memory ${size(least)}`,
  );
}
