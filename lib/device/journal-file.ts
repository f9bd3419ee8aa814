/** A file that grows at its end, and is written anew now and then. Each call is done when it returns. */
export interface JournalFile {
  /** All of it: nothing when it was not there. */
  read(): Uint8Array;
  /** Writes behind the end. A program that is killed meanwhile may leave a part of it. */
  append(bytes: Uint8Array): void;
  /** All of it is this from now on. A program that is killed meanwhile leaves either what was there, or this. */
  replace(bytes: Uint8Array): void;
}
