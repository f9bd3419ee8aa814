import {
  bytesOf,
  decodeStrings,
  encodeMessage,
  encodeStrings,
  Message,
  MessageReader,
  messageType,
  textOf,
} from "./wire.ts";

/** The server refused a request, or cannot be reached any more. */
export class XenstoreError extends Error {
  override readonly name = "XenstoreError";
  /** The server's name for it: `ENOENT`; `ECONNRESET` when the connection is over. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Takes the bytes of requests to the server. */
export interface Link {
  send(bytes: Uint8Array): void;
}

type Ask = (type: number, payload: Uint8Array, what: string) => Promise<Uint8Array>;

/**
 * The nodes of a store, as they are or as a transaction sees them. Paths are absolute, or begin at the client's own
 * domain. All methods reject with {@link XenstoreError}.
 */
export class Nodes {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  read(path: string): Promise<Uint8Array> {
    return this.#ask(messageType.read, encodeStrings(path), `read ${path}`);
  }

  async readText(path: string): Promise<string> {
    return textOf(await this.read(path));
  }

  /** The value, or undefined when there is no such node. */
  async readIfThere(path: string): Promise<string | undefined> {
    try {
      return await this.readText(path);
    } catch (error) {
      if (error instanceof XenstoreError && error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Makes the node and its parents where they are missing. */
  async write(path: string, value: string | Uint8Array): Promise<void> {
    const head = encodeStrings(path);
    const bytes = typeof value === "string" ? bytesOf(value) : value;
    const payload = new Uint8Array(head.length + bytes.length);
    payload.set(head);
    payload.set(bytes, head.length);
    await this.#ask(messageType.write, payload, `write ${path}`);
  }

  async make(path: string): Promise<void> {
    await this.#ask(messageType.makeDirectory, encodeStrings(path), `make ${path}`);
  }

  /** The node and all below it. */
  async remove(path: string): Promise<void> {
    await this.#ask(messageType.remove, encodeStrings(path), `remove ${path}`);
  }

  /** The names of children, however many there are. */
  async list(path: string): Promise<string[]> {
    try {
      return decodeStrings(await this.#ask(messageType.directory, encodeStrings(path), `list ${path}`));
    } catch (error) {
      if (error instanceof XenstoreError && error.code === "E2BIG") return this.#listParts(path);
      throw error;
    }
  }

  /** As often from the beginning as the node changes between two parts, within reason. */
  async #listParts(path: string): Promise<string[]> {
    for (let attempt = 0; attempt < 100; attempt++) {
      const names = await this.#listOnce(path);
      if (names !== undefined) return names;
    }
    throw new XenstoreError("EAGAIN", `list ${path}: it changes faster than it can be read`);
  }

  async #listOnce(path: string): Promise<string[] | undefined> {
    const names: string[] = [];
    let generation: string | undefined;
    for (let offset = 0; ;) {
      const payload = encodeStrings(path, String(offset));
      const [first, ...more] = decodeStrings(await this.#ask(messageType.directoryPart, payload, `list ${path}`));
      if (first === undefined || first !== (generation ?? first)) return undefined;
      generation = first;
      for (const name of more) {
        if (name === "") return names;
        names.push(name);
        offset += name.length + 1;
      }
      if (more.length === 0) return undefined;
    }
  }

  /** As `n0`, `r3`: the owner first, with what those may do that are not named. */
  async permissions(path: string): Promise<string[]> {
    return decodeStrings(await this.#ask(messageType.getPermissions, encodeStrings(path), `permissions of ${path}`));
  }

  async setPermissions(path: string, permissions: readonly string[]): Promise<void> {
    await this.#ask(messageType.setPermissions, encodeStrings(path, ...permissions), `permissions of ${path}`);
  }
}

interface Request {
  readonly type: number;
  readonly transaction: number;
  readonly message: Uint8Array;
  readonly what: string;
  readonly resolve: (payload: Uint8Array) => void;
  readonly reject: (error: XenstoreError) => void;
}

interface Watcher {
  readonly path: string;
  readonly callback: (path: string) => void;
  /** The server has it. */
  isSet: boolean;
}

/** Tries of a transaction that others disturb. */
const attempts = 1000;

/**
 * A client of a xenstore server, over anything that carries bytes both ways: what comes from the server is given to
 * {@link XenstoreClient.receive}, requests go to the link.
 */
export class XenstoreClient extends Nodes {
  readonly #link: Link;
  readonly #reader = new MessageReader();
  readonly #message = new Message();
  readonly #requests = new Map<number, Request>();
  readonly #watchers = new Map<string, Watcher>();
  #last = 0;
  #lastToken = 0;
  #over: XenstoreError | undefined;

  constructor(link: Link) {
    super((type, payload, what) => this.#ask(type, 0, payload, what));
    this.#link = link;
  }

  /** Takes bytes from the server. What is no message of the protocol ends the connection. */
  receive(bytes: Uint8Array, offset = 0, length: number = bytes.length - offset): void {
    for (let taken = 0; ;) {
      const result = this.#reader.take(bytes, offset + taken, length - taken, this.#message);
      if (result === -1) {
        this.end("the server announced a message longer than 4096 bytes");
        return;
      }
      taken += result.taken;
      if (!result.whole) return;
      this.#heard(this.#message);
    }
  }

  /** Whether the connection is over: everything is rejected from now on. */
  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** The server is not there any more: everything that waits is rejected. */
  end(reason: string): void {
    this.#over ??= new XenstoreError("ECONNRESET", reason);
    for (const request of this.#requests.values()) request.reject(this.#over);
    this.#requests.clear();
    this.#watchers.clear();
  }

  /** Requests whose answers have not come. */
  get waiting(): number {
    return this.#requests.size;
  }

  /**
   * The link leads to a server that knows nothing of this client, once what was under way on it is lost: requests are sent
   * again, watches are set again, and fire once; transactions that were open fail as if others had disturbed them.
   */
  resume(): void {
    if (this.#over !== undefined) return;
    this.#reader.restore(new Uint8Array(0));
    const requests = [...this.#requests];
    this.#requests.clear();
    for (const [id, request] of requests) {
      if (request.transaction !== 0) {
        request.reject(new XenstoreError("EAGAIN", `${request.what}: the transaction is lost`));
      } else {
        this.#requests.set(id, request);
        this.#link.send(request.message);
      }
    }
    for (const [token, { path, isSet }] of this.#watchers) {
      // A refusal is as that of a path that went away: nothing happens there any more.
      if (isSet) this.#ask(messageType.watch, 0, encodeStrings(path, token), `watch ${path}`).catch(() => undefined);
    }
  }

  /**
   * Calls back with the path whenever a node at or below `path` has changed, and once at first. The path is as the one
   * given: absolute, or not.
   *
   * @returns what ends it
   */
  async watch(path: string, callback: (path: string) => void): Promise<() => Promise<void>> {
    const token = String(++this.#lastToken);
    const watcher = { path, callback, isSet: false };
    this.#watchers.set(token, watcher);
    try {
      await this.#ask(messageType.watch, 0, encodeStrings(path, token), `watch ${path}`);
      watcher.isSet = true;
    } catch (error) {
      this.#watchers.delete(token);
      throw error;
    }
    return async () => {
      this.#watchers.delete(token);
      await this.#ask(messageType.unwatch, 0, encodeStrings(path, token), `unwatch ${path}`);
    };
  }

  /**
   * Runs `body` until nothing that it looked at was changed by others meanwhile. What it changes, it changes at once, or
   * not at all when it throws.
   *
   * @throws XenstoreError (rejects) `EAGAIN` after a thousand tries.
   */
  async transaction<T>(body: (nodes: Nodes) => Promise<T>): Promise<T> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const [id] = decodeStrings(
        await this.#ask(messageType.transactionStart, 0, encodeStrings(""), "start a transaction"),
      );
      const number = Number(id);
      const end = (commit: "T" | "F"): Promise<Uint8Array> =>
        this.#ask(messageType.transactionEnd, number, encodeStrings(commit), "end a transaction");
      let result: T;
      try {
        result = await body(new Nodes((type, payload, what) => this.#ask(type, number, payload, what)));
      } catch (error) {
        await end("F").catch(() => undefined);
        if (isDisturbed(error)) continue;
        throw error;
      }
      try {
        await end("T");
        return result;
      } catch (error) {
        if (!isDisturbed(error)) throw error;
      }
    }
    throw new XenstoreError("EAGAIN", `a transaction was disturbed ${attempts} times`);
  }

  async introduce(domain: number, frame: number, port: number): Promise<void> {
    const payload = encodeStrings(String(domain), String(frame), String(port));
    await this.#ask(messageType.introduce, 0, payload, `introduce domain ${domain}`);
  }

  async release(domain: number): Promise<void> {
    await this.#ask(messageType.release, 0, encodeStrings(String(domain)), `release domain ${domain}`);
  }

  /** Lets a domain do what `target` may, too. */
  async setTarget(domain: number, target: number): Promise<void> {
    const payload = encodeStrings(String(domain), String(target));
    await this.#ask(messageType.setTarget, 0, payload, `set the target of domain ${domain}`);
  }

  async isIntroduced(domain: number): Promise<boolean> {
    const answer = await this.#ask(
      messageType.isDomainIntroduced,
      0,
      encodeStrings(String(domain)),
      "ask for a domain",
    );
    return textOf(answer).startsWith("T");
  }

  #ask(type: number, transaction: number, payload: Uint8Array, what: string): Promise<Uint8Array> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    do this.#last = (this.#last + 1) >>> 0;
    while (this.#requests.has(this.#last));
    const id = this.#last;
    let message: Uint8Array;
    try {
      message = encodeMessage(type, id, transaction, payload);
    } catch {
      return Promise.reject(new XenstoreError("E2BIG", `${what}: more than a message can hold`));
    }
    return new Promise((resolve, reject) => {
      this.#requests.set(id, { type, transaction, message, what, resolve, reject });
      this.#link.send(message);
    });
  }

  #heard({ type, request: id, payload }: Message): void {
    if (type === messageType.watchEvent) {
      const [path = "", token = ""] = decodeStrings(payload);
      this.#watchers.get(token)?.callback(path);
      return;
    }
    const request = this.#requests.get(id);
    if (request === undefined) return;
    this.#requests.delete(id);
    if (type === request.type) request.resolve(payload);
    else {
      const [code = "EIO"] = type === messageType.error ? decodeStrings(payload) : [];
      request.reject(new XenstoreError(code, `${request.what}: ${code}`));
    }
  }
}

function isDisturbed(error: unknown): boolean {
  return error instanceof XenstoreError && error.code === "EAGAIN";
}
