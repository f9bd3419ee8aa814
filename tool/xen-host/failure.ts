/** What keeps a Xen host from starting or from doing what it is told. */
export class XenHostError extends Error {
  override readonly name = "XenHostError";
  /** What was said before that: of a command its output, of the host the end of its console. */
  readonly output: string;

  constructor(message: string, output = "", options?: ErrorOptions) {
    super(output === "" ? message : `${message}\n${output}`, options);
    this.output = output;
  }
}
