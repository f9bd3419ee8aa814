import { DomainLink } from "@tesserae/xenstore/domain-link";
import { pageSize } from "@tesserae/xenstore/ring";
import { connectInMemory } from "@tesserae/xenstore/in-memory";
import { XenstoreServer } from "@tesserae/xenstore/server";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { expect, test } from "vitest";
import { WindowEventChannels } from "./event-channels.ts";
import { StoreLink } from "./store-link.ts";

test("xenstore keeps the event loop alive while an answer is due, and not for its watches", async () => {
  const server = new XenstoreServer({ timers: new Scheduler(new VirtualClock()) });
  const toolstack = connectInMemory(server, { kind: "local" }).client;
  await toolstack.write("/local/domain/5/data", "");
  await toolstack.setPermissions("/local/domain/5/data", ["n5"]);
  const page = new Uint8Array(pageSize);
  let heard = (): void => undefined;
  let held = 0;
  let ports = 0;
  const domain = new DomainLink(server, 5, page, () => queueMicrotask(() => heard()));
  const channels = new WindowEventChannels(
    (error) => {
      throw error;
    },
    (_source, callback) => {
      heard = callback;
      held = 1;
      return {
        port: ++ports,
        signal: () => queueMicrotask(() => domain.signalled()),
        ref: () => {
          held++;
        },
        unref: () => {
          held--;
        },
        close: () => undefined,
      };
    },
  );
  const link = new StoreLink(page, channels, 1);
  const { client } = link;
  const said: string[] = [];
  await client.watch("data", (path) => said.push(path));
  expect(held).toBe(1);

  link.isWaiting = false;
  expect(held).toBe(0);
  const asked = Promise.all([client.write("data/one", "1"), client.readText("data/one")]);
  expect(held).toBe(1);
  expect((await asked)[1]).toBe("1");
  expect(client.waiting).toBe(0);
  await expect.poll(() => [held, said]).toEqual([0, ["data", "data/one"]]);

  // What was under way when the domain was suspended is asked again, over another channel.
  const later = client.readText("data/one");
  page.fill(0);
  channels.forget();
  const next = new DomainLink(server, 5, page, () => queueMicrotask(() => heard()));
  domain.close();
  const again = heard;
  link.resume(2);
  expect([held, ports, heard === again]).toEqual([1, 2, false]);
  next.signalled();
  expect(await later).toBe("1");
});
