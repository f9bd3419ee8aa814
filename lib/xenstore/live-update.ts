/**
 * Replacing a server by newer code while its clients stay, as `xenstore-control live-update` does it: `-f` names a file,
 * or `-b` and `-d` bring the code itself in pieces; `-s` starts, `-a` gives up.
 */

/** Where newer code comes from. */
export type UpdateSource =
  { readonly kind: "file"; readonly path: string } | { readonly kind: "code"; readonly bytes: Uint8Array };

/** Whoever keeps the clients' bytes while the server is replaced. */
export interface Updater {
  /**
   * Loads newer code. What it resolves to replaces the server: it is called once the request that started it is
   * answered, and in no call of the server's.
   *
   * Rejects when the code cannot be loaded: the error's message goes to who asked.
   */
  load(source: UpdateSource, commandLine: string): Promise<() => void>;
}

/** Bytes of code that are taken. */
const mostCode = 64 * 1024 * 1024;

type State =
  | { readonly kind: "idle" }
  | { readonly kind: "loading" }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "loaded"; readonly replace: () => void };

/** One conversation about an update at a time; a later one takes the place of one that was not ended. */
export class LiveUpdate {
  readonly #updater: Updater;
  #source: UpdateSource | undefined;
  #received = 0;
  #commandLine = "";
  #state: State = { kind: "idle" };

  constructor(updater: Updater) {
    this.#updater = updater;
  }

  /**
   * One step.
   *
   * @param words of the request, behind `live-update`
   * @param payload all of the request: pieces of code are bytes
   * @returns the answer: `OK`, `BUSY` (ask again), or what is wrong; undefined when the words make no sense. After `OK`
   * to a start, `replace` is to be called when that answer is given.
   */
  step(words: readonly string[], payload: Uint8Array): { answer: string; replace?: () => void } | undefined {
    const [option, first] = words;
    switch (option) {
      case "-a":
        this.#reset();
        return { answer: "OK" };
      case "-c":
        if (first === undefined) return undefined;
        this.#commandLine = first;
        return { answer: "OK" };
      case "-f":
        if (first === undefined) return undefined;
        this.#reset();
        this.#source = { kind: "file", path: first };
        return { answer: "OK" };
      case "-b":
        return first === undefined || !/^\d{1,9}$/.test(first) ? undefined : this.#begin(Number(first));
      case "-d":
        return first === undefined || !/^\d{1,4}$/.test(first) ? undefined : this.#piece(Number(first), payload);
      case "-s":
        return this.#start();
      default:
        return undefined;
    }
  }

  #reset(): void {
    this.#source = undefined;
    this.#received = 0;
    this.#commandLine = "";
    this.#state = { kind: "idle" };
  }

  #begin(size: number): { answer: string } {
    this.#reset();
    if (size === 0 || size > mostCode) return { answer: `a program of ${size} bytes is not taken` };
    this.#source = { kind: "code", bytes: new Uint8Array(size) };
    return { answer: "OK" };
  }

  /** `live-update`, `-d` and the length, each with a NUL behind it, are followed by the bytes. */
  #piece(length: number, payload: Uint8Array): { answer: string } {
    const source = this.#source;
    if (source?.kind !== "code") return { answer: "no size was given" };
    let at = 0;
    for (let strings = 0; strings < 3; strings++) at = payload.indexOf(0, at) + 1;
    const bytes = payload.subarray(at, at + length);
    if (bytes.length < length || this.#received + length > source.bytes.length)
      return { answer: "more than was announced" };
    source.bytes.set(bytes, this.#received);
    this.#received += length;
    return { answer: "OK" };
  }

  /** Code is loaded while others are served; who asks meanwhile is told to ask again. */
  #start(): { answer: string; replace?: () => void } {
    const state = this.#state;
    if (state.kind === "loading") return { answer: "BUSY" };
    if (state.kind === "failed") {
      this.#reset();
      return { answer: state.reason };
    }
    if (state.kind === "loaded") {
      this.#reset();
      return { answer: "OK", replace: state.replace };
    }
    const source = this.#source;
    if (source === undefined) return { answer: "nothing was given to update to" };
    if (source.kind === "code" && this.#received < source.bytes.length) return { answer: "the program is not whole" };
    const loading: State = { kind: "loading" };
    this.#state = loading;
    const become = (next: State): void => {
      // Given up, or begun anew, meanwhile.
      if (this.#state === loading) this.#state = next;
    };
    this.#updater.load(source, this.#commandLine).then(
      (replace) => become({ kind: "loaded", replace }),
      (error: unknown) => become({ kind: "failed", reason: error instanceof Error ? error.message : String(error) }),
    );
    return { answer: "BUSY" };
  }
}
