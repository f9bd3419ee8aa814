import { Script } from "node:vm";
import { describe, expect, test } from "vitest";
import { sleep } from "@tesserae/time/sleep";
import { frameKinds, PageRecorder, type PageFrame } from "./page-record.ts";
import { timelinePage } from "./timeline-page.ts";
import { createWorld } from "./world.ts";

/** A transfer over a wire that loses the fifth frame with data, with a crash afterwards. */
async function recorded(limits = {}): Promise<PageRecorder> {
  const world = createWorld({ seed: "a", link: { delay: 10 } });
  const recorder = new PageRecorder(limits);
  world.observe(recorder);
  const [server, client] = [world.host("server"), world.host("client")];
  client.run(async ({ stack, console }) => {
    await server.ready;
    await server.stack.tcp.listen({ port: 7 }, async (flow) => {
      const buffer = new Uint8Array(65_536);
      while ((await flow.read(buffer)) > 0);
      await flow.close();
    });
    const flow = await stack.tcp.connect({ address: server.address, port: 7 });
    world.linksOf(client)[0]?.forward.configure({ loss: 0.2 });
    await flow.write(new Uint8Array(60_000));
    await flow.close();
    console.writeLine("done </script>");
    server.crash();
    await sleep(world.timers, 5);
    await server.restart();
  });
  await world.run();
  return recorder;
}

const kindOf = (frame: PageFrame): string => frameKinds[frame.k] ?? "";

describe("a page's record", () => {
  test("has frames with their ways, what was lost and sent again, what hosts said, and what lasted", async () => {
    const { lanes, frames, notes, bands, left } = (await recorded()).record;
    expect([...lanes].sort()).toEqual(["client", "server"]);
    const lost = frames.filter((frame) => frame.a < 0 && frame.w === "loss");
    expect(lost.length).toBeGreaterThan(3);
    expect(frames.some((frame) => frame.r === 1 && kindOf(frame) === "data")).toBe(true);
    const syn = frames.find((frame) => frame.x.startsWith("[S] 0 win="));
    expect(syn).toMatchObject({ f: lanes.indexOf("client"), to: lanes.indexOf("server"), r: 0 });
    expect((syn?.a ?? 0) - (syn?.t ?? 0)).toBeCloseTo(10, 6);
    expect(notes.map((note) => note.x)).toContain("done </script>");
    expect(bands.map((band) => band.x)).toEqual(["server is down"]);
    expect((bands[0]?.e ?? 0) - (bands[0]?.t ?? 0)).toBeCloseTo(5, 6);
    expect(left).toBe(0);
  });

  test("keeps the first frames and the last when there are too many", async () => {
    const all = (await recorded()).record.frames;
    const { frames, left } = (await recorded({ frames: 20 })).record;
    expect(frames.length).toBeLessThanOrEqual(30);
    expect(frames.slice(0, 10).map((frame) => frame.n)).toEqual(all.slice(0, 10).map((frame) => frame.n));
    expect(frames.at(-1)?.n).toBe(all.at(-1)?.n);
    expect(left).toBe(all.length - frames.length);
  });
});

describe("a page", () => {
  test("stands alone, and nothing that a host says gets out of its place", async () => {
    const { record } = await recorded();
    const page = timelinePage({ name: "a<b", seed: '"', outcome: "<i>", failed: true }, record);
    expect(page).not.toMatch(/https?:|src=|href=/);
    expect(page).toContain("<h1>a&lt;b, seed &quot;</h1>");
    expect(page.match(/<\/script>/g)).toHaveLength(2);
    const [, data = ""] = /<script type="application\/json" id="data">(.*)<\/script>/.exec(page) ?? [];
    expect(JSON.parse(data)).toEqual({ ...record, failed: true });
    const [, script = ""] = /<script>([^]*)<\/script>/.exec(page) ?? [];
    // It is JavaScript: a browser would take it.
    expect(() => new Script(script)).not.toThrow();
  });
});
