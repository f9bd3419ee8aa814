import { EventFile } from "../window/event-file.ts";

const path = "/dev/window/interrupt";
/** Kinds of event channels, in the request's flags; the domain is in their upper half. */
const portFlag = { unbound: 4, interdomain: 8, virtual: 12, given: 16 } as const;
const domainShift = 16;

/** Where an event channel comes from. */
export type PortSource =
  /** A new one, whose other end the domain may bind. */
  | { readonly kind: "unbound"; readonly domain: number }
  /** Bound to a port that the domain has allocated for this one. */
  | { readonly kind: "interdomain"; readonly domain: number; readonly port: number }
  /** Bound to a virtual interrupt of Xen's. */
  | { readonly kind: "virtual"; readonly number: number }
  /** One that the toolstack has made. */
  | { readonly kind: "given"; readonly port: number };

/** An event channel as a file of the device window. */
export interface PortFile {
  readonly port: number;
  signal(): void;
  ref(): void;
  unref(): void;
  close(): void;
}

/** @throws WindowError when Xen refuses; its cause has the `code`. */
export function openPort(source: PortSource, callback: () => void): PortFile {
  const file = new EventFile(path, encode(source), describe(source), callback);
  return {
    port: file.readMessage().data,
    signal: () => file.repeat(),
    ref: () => file.ref(),
    unref: () => file.unref(),
    close: () => file.close(),
  };
}

function encode(source: PortSource): Uint8Array {
  const request = new DataView(new ArrayBuffer(8));
  const line = source.kind === "unbound" ? 0 : source.kind === "virtual" ? source.number : source.port;
  const domain = "domain" in source ? source.domain : 0;
  request.setInt32(0, line, true);
  request.setUint32(4, ((domain << domainShift) | portFlag[source.kind]) >>> 0, true);
  return new Uint8Array(request.buffer);
}

function describe(source: PortSource): string {
  switch (source.kind) {
    case "unbound":
      return `an event channel for domain ${source.domain}`;
    case "interdomain":
      return `event channel ${source.port} of domain ${source.domain}`;
    case "virtual":
      return `virtual interrupt ${source.number}`;
    case "given":
      return `event channel ${source.port}`;
  }
}
