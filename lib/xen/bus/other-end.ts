import { XenstoreError, type XenstoreClient } from "@tesserae/xenstore/client";
import { XenError } from "../xen-error.ts";

/** Names below a device's path, and what they are given. */
export type DeviceNodes = Readonly<Record<string, string | number>>;

/** What the other end of a device has published. It may say anything: numbers are checked. */
export class OtherEnd {
  /** The domain that it is in. */
  readonly domain: number;
  readonly path: string;
  readonly #xenstore: XenstoreClient;

  constructor(xenstore: XenstoreClient, domain: number, path: string) {
    this.#xenstore = xenstore;
    this.domain = domain;
    this.path = path;
  }

  /** @returns undefined when there is no such node @throws XenstoreError (rejects) */
  read(name: string): Promise<string | undefined> {
    return readOther(this.#xenstore, `${this.path}/${name}`);
  }

  /**
   * An integer in decimal.
   *
   * @param absent what a node that is not there stands for; without it, there has to be one
   * @throws XenError (rejects) `protocol` when it is no integer from `least` to `most`.
   */
  async readInteger(name: string, least: number, most: number, absent?: number): Promise<number> {
    const text = await this.read(name);
    if (text === undefined && absent !== undefined) return absent;
    const value = text !== undefined && /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most)) {
      const said = text === undefined ? "is not there" : `is "${text.slice(0, 40)}"`;
      throw new XenError("protocol", `${this.path}/${name} ${said}, not an integer from ${least} to ${most}`);
    }
    return value;
  }

  /** Whether a node is there and says 1, or another number than 0. */
  async readFlag(name: string): Promise<boolean> {
    const text = await this.read(name);
    return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) !== 0;
  }
}

/** The value of a node in another domain: when nodes above it are gone, whether it is there is not ours to know. */
export async function readOther(xenstore: XenstoreClient, path: string): Promise<string | undefined> {
  try {
    return await xenstore.readIfThere(path);
  } catch (error) {
    if (error instanceof XenstoreError && error.code === "EACCES") return undefined;
    throw error;
  }
}
