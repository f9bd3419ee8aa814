import { copyStatus, pageSize } from "@tesserae/xen/grant";
import { XenError } from "@tesserae/xen/xen-error";
import { connectInMemory } from "@tesserae/xenstore/in-memory";
import { XenstoreServer } from "@tesserae/xenstore/server";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, test } from "vitest";
import { WindowError } from "../window/window-error.ts";
import { watchShutdown } from "./control.ts";
import { WindowEventChannels } from "./event-channels.ts";
import { WindowForeignPages } from "./foreign-pages.ts";
import { GrantEntries1, GrantEntries2, type GrantEntries } from "./grant-entries.ts";
import { WindowGrantTable } from "./grant-table.ts";
import type { PortSource } from "./port-file.ts";
import { WindowPages } from "./shared-pages.ts";
import type { GrantCalls } from "./xen-file.ts";

const pagesAt = (frame: number, count: number, onRelease: () => void = () => undefined): WindowPages =>
  new WindowPages({ bytes: new Uint8Array(count * pageSize), physical: frame * pageSize, release: onRelease });

/** Xen's side of a table: an entry as `grant_table.h` has it. */
interface TableView {
  readonly version: number;
  readonly entries: GrantEntries;
  /** Flags and domain; the frame. */
  readonly entry: (reference: number) => readonly [number, number, number];
  readonly use: (reference: number, bits: number) => void;
}

function version1(): TableView {
  const table = new Uint8Array(pageSize);
  const view = new DataView(table.buffer);
  return {
    version: 1,
    entries: new GrantEntries1(table),
    entry: (reference) => {
      const at = reference * 8;
      return [view.getUint16(at, true), view.getUint16(at + 2, true), view.getUint32(at + 4, true)];
    },
    use: (reference, bits) => {
      const at = reference * 8;
      view.setUint16(at, (view.getUint16(at, true) & ~24) | bits, true);
    },
  };
}

function version2(): TableView {
  const table = new Uint8Array(2 * pageSize);
  const status = new Uint8Array(pageSize);
  const view = new DataView(table.buffer);
  return {
    version: 2,
    entries: new GrantEntries2(table, status),
    entry: (reference) => {
      const at = reference * 16;
      return [view.getUint16(at, true), view.getUint16(at + 2, true), Number(view.getBigUint64(at + 8, true))];
    },
    use: (reference, bits) => new DataView(status.buffer).setUint16(reference * 2, bits, true),
  };
}

describe.each([version1(), version2()])("the grant table, version $version", ({ version, entries, entry, use }) => {
  const grants = new WindowGrantTable(entries);

  test("has entries from reference 8 on", () => {
    const frame = version === 1 ? 0x1234 : 0x12_3456_7890;
    const pages = pagesAt(frame, 2);
    expect(grants.free).toBe(512 - 8);
    const reference = grants.grant(pages, 1, 3, "read-only");
    expect(reference).toBe(8);
    expect(entry(reference)).toEqual([1 | 4, 3, frame + 1]);
    expect(() => pages.release()).toThrow(XenError);
    expect(grants.end(reference)).toBe(true);
    expect(entry(reference)[0]).toBe(0);
    pages.release();
    expect(grants.free).toBe(512 - 8);
  });

  test("keeps what the other domain has mapped", () => {
    const reference = grants.grant(pagesAt(7, 1), 0, 0, "read-write");
    use(reference, 8 | 16);
    expect(grants.isInUse(reference)).toBe(true);
    expect(grants.end(reference)).toBe(false);
    expect(entry(reference)[0] & 1).toBe(1);
    use(reference, 0);
    expect(grants.end(reference)).toBe(true);
  });

  test("is bounded, and forgets all after a suspension", () => {
    const pages = pagesAt(7, 1);
    const references = new Set<number>();
    for (let count = grants.free; count > 0; count--) references.add(grants.grant(pages, 0, 0, "read-write"));
    expect(references.size).toBe(512 - 8);
    expect(() => grants.grant(pages, 0, 0, "read-write")).toThrow(XenError);
    grants.begin(entries);
    expect(grants.free).toBe(512 - 8);
    pages.release();
  });

  test("refuses pages that are not there, and memory of others", () => {
    expect(() => grants.grant(pagesAt(7, 1), 1, 0, "read-write")).toThrow(RangeError);
    const other = { bytes: new Uint8Array(pageSize), count: 1, release: () => undefined };
    expect(() => grants.grant(other, 0, 0, "read-write")).toThrow(TypeError);
  });
});

/** Xen's side of maps and copies: grants of domain 1 below reference 100 are there. */
class Calls implements GrantCalls {
  readonly mapped = new Map<number, number>();
  readonly copies: string[] = [];
  #next = 1;

  run(call: "map" | "unmap" | "copy", operations: Uint8Array, length: number): void {
    const view = new DataView(operations.buffer, operations.byteOffset, length);
    for (let at = 0; at < length; at += 32) {
      const address = Number(view.getBigUint64(at, true));
      const reference = view.getUint32(at + 8, true);
      let status = 0;
      if (call === "unmap") {
        status = this.mapped.get(view.getUint32(at + 12, true)) === address ? 0 : -4;
        this.mapped.delete(view.getUint32(at + 12, true));
      } else if (view.getUint16(at + 16, true) !== 1) status = copyStatus.badDomain;
      else if (reference >= 100) status = copyStatus.badReference;
      else if (call === "map") {
        view.setUint32(at + 12, this.#next, true);
        this.mapped.set(this.#next++, address);
      } else {
        const fields = [18, 20, 22].map((offset) => view.getUint16(at + offset, true));
        this.copies.push([address, reference, ...fields].join(" "));
      }
      view.setInt32(at + 24, status, true);
    }
  }
}

describe("other domains' pages", () => {
  const calls = new Calls();
  const bound: string[] = [];
  const foreign = new WindowForeignPages(calls, {
    address: 0x4000_0000,
    pages: 256,
    bind: (address, length) => {
      bound.push(`${address.toString(16)}+${String(length / pageSize)}`);
      return new Uint8Array(length);
    },
  });
  const references = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

  test("are mapped in order, more than fit one call, and unmapped", () => {
    const mapping = foreign.map(1, references(70), "read-write");
    expect(mapping.bytes.length).toBe(70 * pageSize);
    expect([...calls.mapped.values()]).toEqual(references(70).map((index) => 0x4000_0000 + index * pageSize));
    mapping.unmap();
    mapping.unmap();
    expect(calls.mapped.size).toBe(0);
  });

  test("use the same place again", () => {
    foreign.map(1, references(65), "read-only").unmap();
    expect(bound).toEqual(["40000000+128"]);
  });

  test("stay unmapped when one grant is bad", () => {
    expect(() => foreign.map(1, [1, 2, 100, 3], "read-write")).toThrow(/grant 100 of domain 1/);
    expect(() => foreign.map(2, [1], "read-write")).toThrow(XenError);
    expect(calls.mapped.size).toBe(0);
  });

  test("are bounded by the room", () => {
    const mappings = [0, 1, 2, 3].map(() => foreign.map(1, references(16), "read-write"));
    expect(() => foreign.map(1, references(200), "read-write")).toThrow(XenError);
    for (const mapping of mappings) mapping.unmap();
  });

  test("mapped before a suspension are not unmapped after it", () => {
    const mapping = foreign.map(1, [1], "read-write");
    foreign.forget();
    mapping.unmap();
    expect(calls.mapped.size).toBe(1);
  });

  test("are copied in batches", () => {
    const batch = foreign.createCopyBatch(2);
    const own = pagesAt(0x10, 2);
    batch.addFrom(1, 5, 64, own, pageSize, 100);
    batch.addTo(own, 8, 1, 101, 0, 4);
    expect(() => batch.addTo(own, 0, 1, 1, 0, 1)).toThrow(RangeError);
    batch.run();
    expect(calls.copies).toEqual([`${String(0x11 * pageSize)} 5 0 64 100`]);
    expect([batch.status(0), batch.status(1)]).toEqual([0, copyStatus.badReference]);
    batch.clear();
    expect(() => batch.addFrom(1, 5, 0, own, pageSize - 1, 2)).toThrow(/cross a page/);
    expect(() => batch.addFrom(1, 5, 0, own, 2 * pageSize, 1)).toThrow(/outside/);
  });
});

describe("event channels", () => {
  const opened: { readonly source: PortSource; readonly callback: () => void; log: string[] }[] = [];
  const reported: unknown[] = [];
  const channels = new WindowEventChannels(
    (error) => reported.push(error),
    (source, callback) => {
      if (source.kind === "interdomain" && source.port === 99) {
        const cause = Object.assign(new Error("EINVAL"), { code: "EINVAL" });
        throw new WindowError("event channel 99 of domain 1", { cause });
      }
      const log: string[] = [];
      opened.push({ source, callback, log });
      const note = (what: string) => () => void log.push(what);
      return {
        port: opened.length,
        signal: note("signal"),
        ref: note("ref"),
        unref: note("unref"),
        close: note("close"),
      };
    },
  );

  test("are files of the window, and silent once they are closed", () => {
    const channel = channels.allocate(4, () => undefined);
    expect(opened[0]?.source).toEqual({ kind: "unbound", domain: 4 });
    channel.notify();
    channel.close();
    channel.close();
    channel.notify();
    expect(opened[0]?.log).toEqual(["signal", "close"]);
  });

  test("that Xen refuses say why", () => {
    expect(() => channels.bind(1, 99, () => undefined)).toThrow(expect.objectContaining({ kind: "bad-channel" }));
  });

  test("report what a callback throws", () => {
    const failure = new Error("on purpose");
    channels.bind(1, 2, () => {
      throw failure;
    });
    opened[1]?.callback();
    expect(reported).toEqual([failure]);
  });

  test("are all closed when they are void", () => {
    channels.forget();
    expect(opened[1]?.log).toEqual(["close"]);
  });
});

describe("control/shutdown", () => {
  const server = new XenstoreServer({ timers: new Scheduler(new VirtualClock()) });
  const toolstack = connectInMemory(server, { kind: "local" }).client;
  const guest = connectInMemory(server, { kind: "domain", domain: 5 }).client;
  const node = "/local/domain/5/control/shutdown";

  test("is acknowledged and told, each time", async () => {
    await toolstack.write(node, "");
    await toolstack.setPermissions(node, ["n5"]);
    const heard: string[] = [];
    const stop = await watchShutdown({ xenstore: guest }, (request) => heard.push(request));
    for (const [index, request] of ["reboot", "suspend", "poweroff"].entries()) {
      await toolstack.write(node, request);
      await expect.poll(() => heard.length).toBe(index + 1);
      expect(await toolstack.readText(node)).toBe("");
    }
    await toolstack.write(node, "sing");
    await stop();
    expect(heard).toEqual(["reboot", "suspend", "poweroff"]);
    expect(await toolstack.readText(node)).toBe("sing");
  });
});
