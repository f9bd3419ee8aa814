import { describe, expect, test } from "vitest";
import { completeLinkSettings } from "./link-settings.ts";
import { parseSettings } from "./settings.ts";

const parse = (flags: Record<string, string>) =>
  parseSettings(
    flags,
    () => "random",
    () => "",
  );

function linkOf(flags: Record<string, string>) {
  const parsed = parse(flags);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.settings.link;
}

describe("the flags of links", () => {
  test("say what links are like", () => {
    const link = linkOf({
      loss: "5%",
      burst: "4",
      delay: "20ms",
      bandwidth: "10M",
      queue: "fq-codel",
      "path-mtu": "1400",
    });
    expect(link).toMatchObject({ delay: 20, bandwidth: 10_000_000, queue: { kind: "fq-codel" }, mtu: 1400 });
    expect(link.loss).toEqual({ kind: "bursts", leave: 0.25, enter: (0.25 * 0.05) / 0.95 });
    expect(() => completeLinkSettings(link)).not.toThrow();
    expect(linkOf({ queue: "20000" })).toEqual({ queue: 20_000 });
    expect(linkOf({})).toEqual({});
  });

  test.each([
    [{ burst: "0", loss: "1%" }, `--burst: "0" is not a number of frames from 1 on`],
    [{ burst: "4", loss: "100%" }, "--burst: wants a --loss below 100%"],
    [{ queue: "sfq" }, `--queue: "sfq" is not a number of bytes, red, codel or fq-codel`],
    [{ "path-mtu": "60" }, `--path-mtu: "60" is not a number of bytes from 68 to 65535`],
  ])("refuse %j", (flags: Record<string, string>, message) => {
    expect(parse(flags)).toEqual({ ok: false, message });
  });
});
