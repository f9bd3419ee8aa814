/** What keeps a machine from being started, or ended it without a word of its own: one sentence, perhaps a remedy. */
export class MachineError extends Error {
  override readonly name = "MachineError";
  /** What would help, in words. */
  readonly fix: string | undefined;

  constructor(message: string, fix?: string, options?: ErrorOptions) {
    super(message, options);
    this.fix = fix;
  }
}
