/** The hosts of the scenario have stacks of their own and run no image. */
export function main(): void {
  throw new TypeError("run it on the sim target");
}
