import { ExitLineFilter } from "@tesserae/qemu/serial";
import type { Terminal } from "./terminal.ts";
import type { TraceMapper } from "./trace-mapper.ts";

/** The console of a machine on its way to the terminal: stack traces lead to the sources, and the last line is left out. */
export class ConsoleOutput {
  readonly #filter = new ExitLineFilter();
  readonly #mapper: TraceMapper;
  readonly #terminal: Terminal;

  constructor(mapper: TraceMapper, terminal: Terminal) {
    this.#mapper = mapper;
    this.#terminal = terminal;
  }

  take(text: string): void {
    this.#write(this.#mapper.take(this.#filter.take(text)));
  }

  end(): void {
    this.#write(this.#mapper.take(this.#filter.end()) + this.#mapper.end());
  }

  #write(text: string): void {
    if (text !== "") this.#terminal.raw(text);
  }
}
