import { quote } from "./agent.ts";
import { consoleFolder } from "./dom0-scripts.ts";
import { SerialText } from "@tesserae/qemu/serial";
import { XenHostError } from "./failure.ts";
import { followScript } from "./follow.ts";
import type { XenHost } from "./host.ts";

/** How long something of a guest is waited for, in milliseconds, unless another time is given. */
const usualTimeout = 900_000;
/** Characters of a guest's console that are kept, from its end. */
const consoleBound = 2 ** 20;

interface Waiter {
  readonly check: () => boolean;
  readonly reject: (error: Error) => void;
}

/** A guest of a {@link XenHost}: one domain, from when it is created or restored until it is gone. */
export class XenGuest {
  readonly name: string;
  /** The number of its domain. */
  readonly id: number;
  /**
   * When the domain is gone: the status in the last line of its console, `[kernel] exit N`, if there was such a line.
   *
   * @throws XenHostError (rejects) when the host ends first.
   */
  readonly ended: Promise<number | undefined>;
  readonly #host: XenHost;
  readonly #serial = new SerialText();
  readonly #waiters = new Set<Waiter>();
  readonly #listeners = new Set<(text: string) => void>();
  #console = "";
  #isOver = false;

  /** For {@link XenHost.createGuest} and {@link XenHost.restoreGuest}. */
  constructor(host: XenHost, name: string, id: number) {
    this.#host = host;
    this.name = name;
    this.id = id;
    this.ended = this.#follow();
    // Whoever does not ask how it ended is not to be ended by it.
    this.ended.catch(() => undefined);
  }

  /** What it wrote on its console so far. */
  get console(): string {
    return this.#console;
  }

  /** Calls the listener with what it has written on its console, and with what it writes from now on. */
  onConsole(listener: (text: string) => void): void {
    if (this.#console !== "") listener(this.#console);
    this.#listeners.add(listener);
  }

  /**
   * Waits until its console has the text, or matches.
   *
   * @throws XenHostError (rejects) with the console when it does not in time, or the guest ends first.
   */
  waitFor(pattern: string | RegExp, timeout: number = usualTimeout): Promise<RegExpExecArray> {
    const expression =
      typeof pattern === "string" ? new RegExp(pattern.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")) : pattern;
    return new Promise((resolve, reject) => {
      const late = (why: string): void =>
        reject(new XenHostError(`${this.name} did not write ${String(pattern)} ${why}`, this.#console.trimEnd()));
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        late(`within ${String(timeout / 1000)} s`);
      }, timeout);
      const waiter: Waiter = {
        check: () => {
          const match = expression.exec(this.#console);
          if (match === null && !this.#isOver) return false;
          clearTimeout(timer);
          if (match === null) late("before it ended");
          else resolve(match);
          return true;
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      if (!waiter.check()) this.#waiters.add(waiter);
    });
  }

  /** Types on its console. @throws XenHostError (rejects) */
  async type(text: string): Promise<void> {
    const script = `cat > "$(xenstore-read /local/domain/${String(this.id)}/console/tty)"`;
    await this.#host.sh(script, { input: Buffer.from(text) });
  }

  /** Asks it to shut down, and waits until it is gone. @throws XenHostError (rejects) when it does not in time. */
  async shutdown(timeout: number = usualTimeout): Promise<number | undefined> {
    await this.#host.sh(`xl shutdown ${quote(this.name)}`);
    return this.waitForEnd(timeout);
  }

  /** As {@link ended}, within a time. @throws XenHostError (rejects) with the console when it is not gone by then. */
  async waitForEnd(timeout: number = usualTimeout): Promise<number | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        const why = `${this.name} did not end within ${String(timeout / 1000)} s`;
        reject(new XenHostError(why, this.#console.trimEnd()));
      }, timeout);
    });
    try {
      return await Promise.race([this.ended, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends it at once; nothing happens when it is gone already. @throws XenHostError (rejects) */
  async destroy(): Promise<void> {
    const { status, output } = await this.#host.run(`xl destroy ${quote(this.name)}`);
    const gone = (await this.#host.run(`xenstore-exists /local/domain/${String(this.id)}`)).status !== 0;
    if (status !== 0 && !gone) {
      throw new XenHostError(`${this.name} cannot be destroyed`, output.toString("utf8").trimEnd());
    }
    await this.ended;
  }

  /** Saves it to a file in dom0, which ends this domain. @throws XenHostError (rejects) */
  async save(file: string, timeout: number = usualTimeout): Promise<void> {
    await this.#host.sh(`xl save ${quote(this.name)} ${quote(file)}`, { timeout });
    await this.waitForEnd(timeout);
  }

  /** Reads its console until the domain is gone. */
  async #follow(): Promise<number | undefined> {
    const script = followScript(`${consoleFolder}/guest-${this.name}.log`, this.id);
    try {
      const day = 86_400_000;
      await this.#host.run(script, { timeout: day, onOutput: (bytes) => this.#take(this.#serial.take(bytes)) });
      this.#take(this.#serial.end());
      this.#isOver = true;
      this.#checkWaiters();
      return this.#serial.status;
    } catch (error) {
      this.#isOver = true;
      const reason = error instanceof Error ? error : new Error(String(error));
      for (const waiter of this.#waiters) waiter.reject(reason);
      this.#waiters.clear();
      throw reason;
    }
  }

  #take(text: string): void {
    if (text === "") return;
    this.#console = (this.#console + text).slice(-consoleBound);
    for (const listener of this.#listeners) listener(text);
    this.#checkWaiters();
  }

  #checkWaiters(): void {
    for (const waiter of this.#waiters) if (waiter.check()) this.#waiters.delete(waiter);
  }
}
