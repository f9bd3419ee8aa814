import { existsSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { prepareTool, root, type Tool } from "./fixtures/tool.ts";

let tool: Tool;
const folder = path.join(root, "test/fixtures/broken-config");

beforeAll(async () => {
  tool = await prepareTool();
}, 120_000);

afterAll(() => {
  tool.remove();
});

describe("every broken configuration names the place and the remedy, and makes no image", () => {
  // What one build keeps for the next is no image.
  const memories = ["checked", "constants"];
  test.each(readdirSync(folder).sort())(
    "%s",
    async (name) => {
      const app = path.join("test/fixtures/broken-config", name);
      const output = path.join(root, app, ".tesserae");
      rmSync(output, { recursive: true, force: true });
      const { status, stdout, stderr } = await tool.run(["build", app, "--target", "sim"]);
      const written = existsSync(output) ? readdirSync(output).filter((name) => !memories.includes(name)) : [];
      expect([status, stdout, written]).toEqual([1, "", []]);
      expect(stderr).toMatchSnapshot();
      expect(stderr).not.toContain("    at ");
    },
    120_000,
  );
});
