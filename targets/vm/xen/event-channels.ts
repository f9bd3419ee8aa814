import type { EventChannel, EventChannels } from "@tesserae/xen/event-channel";
import { XenError, type XenErrorKind } from "@tesserae/xen/xen-error";
import { openPort, type PortFile, type PortSource } from "./port-file.ts";

/** How errors of the kernel look to users of event channels; any other is a refusal. */
const kinds: Readonly<Record<string, XenErrorKind>> = {
  ENOSPC: "exhausted",
  ENOMEM: "exhausted",
  EMFILE: "exhausted",
  EINVAL: "bad-channel",
  ESRCH: "no-domain",
};

/** The event channels of this domain: each is a file of the device window. */
export class WindowEventChannels implements EventChannels {
  readonly #open: typeof openPort;
  readonly #report: (error: unknown) => void;
  readonly #channels = new Set<WindowChannel>();

  /**
   * @param report takes what a callback throws
   * @param open for tests
   */
  constructor(report: (error: unknown) => void, open: typeof openPort = openPort) {
    this.#report = report;
    this.#open = open;
  }

  allocate(remote: number, onEvent: () => void): EventChannel {
    return this.open({ kind: "unbound", domain: remote }, onEvent);
  }

  bind(remote: number, remotePort: number, onEvent: () => void): EventChannel {
    return this.open({ kind: "interdomain", domain: remote, port: remotePort }, onEvent);
  }

  /** Any event channel that Xen has. @throws XenError */
  open(source: PortSource, onEvent: () => void): WindowChannel {
    try {
      const file = this.#open(source, () => {
        try {
          onEvent();
        } catch (error) {
          this.#report(error);
        }
      });
      const channel = new WindowChannel(file, () => this.#channels.delete(channel));
      this.#channels.add(channel);
      return channel;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new XenError(kinds[codeOf(error) ?? ""] ?? "refused", message, { cause: error });
    }
  }

  /** All of them are void: the domain goes on in another life. */
  forget(): void {
    for (const channel of [...this.#channels]) channel.close();
  }
}

/** One of them. */
export class WindowChannel implements EventChannel {
  readonly port: number;
  readonly #file: PortFile;
  readonly #closed: () => void;
  #isOpen = true;

  constructor(file: PortFile, closed: () => void) {
    this.port = file.port;
    this.#file = file;
    this.#closed = closed;
  }

  notify(): void {
    if (this.#isOpen) this.#file.signal();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#file.close();
    this.#closed();
  }

  /** Takes {@link WindowChannel.unref} back. */
  ref(): void {
    if (this.#isOpen) this.#file.ref();
  }

  unref(): void {
    if (this.#isOpen) this.#file.unref();
  }
}

function codeOf(error: unknown): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined;
}
