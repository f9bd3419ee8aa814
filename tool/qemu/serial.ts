/** Characters of the last line that are looked at: the kernel's own lines are short. */
const longestLine = 512;

/** What the boot kernel says last: with which status the image ended. */
const exitLine = /^\[kernel\] exit (\d{1,3})$/;

/**
 * The console of a machine as text: UTF-8 with one line feed a line, whatever the bytes are. Remembers the status that
 * the kernel's last line tells, in constant space.
 */
export class SerialText {
  readonly #decoder = new TextDecoder();
  #line = "";
  /** Carriage returns at the end of the last piece. */
  #returns = "";
  #status: number | undefined;

  /** The status in the last line of the form `[kernel] exit N`, once that line is complete. */
  get status(): number | undefined {
    return this.#status;
  }

  /** Takes the next bytes and gives their text. */
  take(bytes: Uint8Array): string {
    return this.#follow(this.#decoder.decode(bytes, { stream: true }));
  }

  /** What is left when the machine is gone: bytes that began a character, a line without an end. */
  end(): string {
    const text = this.#follow(this.#decoder.decode()) + this.#returns;
    this.#returns = "";
    this.#endLine();
    return text;
  }

  #follow(decoded: string): string {
    // A carriage return belongs to the line feed after it, which may be in the next piece.
    let text = (this.#returns + decoded).replace(/\r+\n/g, "\n");
    this.#returns = /\r{1,16}$/.exec(text)?.[0] ?? "";
    text = text.slice(0, text.length - this.#returns.length);
    const lines = text.split("\n");
    lines.forEach((piece, index) => {
      this.#line = (this.#line + piece).slice(0, longestLine);
      if (index < lines.length - 1) this.#endLine();
    });
    return text;
  }

  #endLine(): void {
    const match = exitLine.exec(this.#line);
    if (match !== null) this.#status = Number(match[1]);
    this.#line = "";
  }
}

/** Leaves the kernel's last line out of a console that people read: the status tells the same. */
export class ExitLineFilter {
  #held = "";
  #lineStart = true;

  /** Takes text of {@link SerialText} and gives what may be shown of it by now. */
  take(text: string): string {
    let shown = "";
    for (const piece of (this.#held + text).split(/(?<=\n)/)) {
      this.#held = "";
      if (!this.#lineStart) shown += piece;
      else if (exitLine.test(piece.replace(/\n$/, ""))) {
        if (piece.endsWith("\n")) continue;
        this.#held = piece;
        continue;
      } else if ("[kernel] exit ".startsWith(piece)) {
        this.#held = piece;
        continue;
      } else shown += piece;
      this.#lineStart = piece.endsWith("\n");
    }
    return shown;
  }

  /** What is left at the end. */
  end(): string {
    const left = this.#held;
    this.#held = "";
    return exitLine.test(left) ? "" : left;
  }
}
