/** The kernel refused: one line that names what was asked. */
export class WindowError extends Error {
  override readonly name = "WindowError";
}
