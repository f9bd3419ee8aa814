/**
 * What ended a device, in one line: `virtio-net 00:03.0: the device broke the rules: …`.
 *
 * `rules`: it did what virtio forbids. `features`: it lacks one that is needed. `reset`: it asks to be reset, or does
 * not come out of reset. `absent`: there is no such device, or its registers make no sense.
 */
export class VirtioError extends Error {
  override readonly name = "VirtioError";
  readonly kind: "rules" | "features" | "reset" | "absent";

  constructor(kind: VirtioError["kind"], message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}
