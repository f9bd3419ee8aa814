import { spawn, type ChildProcess } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { prepareTool, root, type Tool } from "../../tool/cli/fixtures/tool.ts";
import { patience, vmUnavailable } from "./test-machine.ts";

// `tesserae run --target vm` and `dev`, as a user types them.

const reason = vmUnavailable();
let tool: Tool;
const folder = mkdtempSync(path.join(tmpdir(), "tesserae-vm-run-"));

/** A running command, with what it wrote so far. */
class Command {
  output = "";
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  #wake: () => void = () => undefined;
  #over = false;

  constructor(argv: readonly string[]) {
    this.#child = spawn(process.execPath, ["--input-type=module", "-e", tool.start, "--", ...argv], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
        this.#wake();
      });
    }
    this.ended = new Promise((resolve) => {
      this.#child.once("close", (status) => {
        this.#over = true;
        this.#wake();
        resolve(status);
      });
    });
  }

  /** Waits for the words, and forgets what came before them. */
  async hear(words: string): Promise<void> {
    while (!this.output.includes(words)) {
      if (this.#over) throw new Error(`it ended, and never wrote "${words}":\n${this.output}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    this.output = this.output.slice(this.output.indexOf(words) + words.length);
  }

  /** Waits until what comes next has this form, and gives its first group. */
  async next(form: RegExp): Promise<string> {
    for (;;) {
      const found = form.exec(this.output)?.[1];
      if (found !== undefined) return found;
      if (this.#over) throw new Error(`it ended, and never wrote ${String(form)}:\n${this.output}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }
}

let command: Command | undefined;
beforeAll(async () => {
  tool = await prepareTool();
}, patience);
afterEach(() => command?.signal("SIGKILL"));
afterAll(() => {
  tool.remove();
  rmSync(folder, { recursive: true, force: true });
});

function run(...argv: readonly string[]) {
  return tool.run(["run", "--target", "vm", "--no-check", ...argv]);
}

describe.skipIf(reason !== undefined)(`tesserae run --target vm${reason === undefined ? "" : ` (${reason})`}`, () => {
  test(
    "gives keys to the image, shows its console but for the kernel's last line, and ends with its status",
    async () => {
      const good = await run("examples/hello", "--name", "you and me", "--times=1");
      expect([good.status, good.stderr]).toEqual([0, ""]);
      expect(good.stdout).toMatch(/hello, you and me \(1 of 1\)\n$/);
      const exit = await run("test/fixtures/apps/conduct", "--how", "exit");
      expect(exit.status, exit.stdout + exit.stderr).toBe(7);
      const thrown = await run("test/fixtures/apps/conduct", "--", "how=throw");
      expect(thrown.status, thrown.stdout + thrown.stderr).toBe(1);
      expect(thrown.stdout).toMatch(
        /Error: main failed\n {4}at .*main \(test\/fixtures\/apps\/conduct\/main\.ts:10:\d+\)/,
      );
      const unknown = await run("test/fixtures/apps/conduct", "--hwo=exit");
      expect(unknown.status, unknown.stdout + unknown.stderr).toBe(2);
      expect(unknown.stdout).toContain('unknown key "hwo" (did you mean "how"?)');
    },
    patience,
  );

  test(
    "says what is wrong with the machine before it starts one",
    async () => {
      const said: string[] = [];
      for (const argv of [
        ["examples/hello", "--memory", "64M", "--image-in", "memory"],
        ["examples/hello", "--memory", "16M"],
        ["examples/hello", "--machine", "microvm", "--image-in", "nvdimm"],
        ["examples/hello", "--cpus", "4"],
        ["examples/hello", "--tap", "tap0"],
        ["examples/echo", "--forward", "eighty"],
        ["test/fixtures/apps/disk"],
        ["test/fixtures/apps/disk", "--block", "/nowhere/disk.img", "--block", "/nowhere/other.img"],
      ]) {
        const { status, stderr } = await run(...argv);
        expect(status, stderr).toBeGreaterThan(0);
        said.push(stderr.replace(/\d+M(?=\b)/g, "NM"));
      }
      expect(said).toMatchSnapshot();
    },
    patience,
  );

  test(
    "forwards the ports that the keys name, from another one when that is taken; SIGINT is the power button",
    async () => {
      const taken = createServer();
      await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
      const address = taken.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      command = new Command(["run", "examples/www", "--target", "vm", "--no-check", "--port", String(port)]);
      await command.hear(`port ${String(port)} cannot be had here: it is at 127.0.0.1:`);
      taken.close();
      const other = await command.next(/^(\d+)\n/);
      await command.hear("serving");
      const page = await fetch(`http://127.0.0.1:${other}/api/hello/you`);
      expect(await page.text()).toBe('{"hello":"you"}');
      command.signal("SIGINT");
      expect(await command.ended, command.output).toBe(0);
    },
    patience,
  );

  test(
    "the second SIGINT ends the machine at once",
    async () => {
      command = new Command(["run", "test/fixtures/apps/conduct", "--target", "vm", "--no-check", "--how", "wait"]);
      await command.hear("ending by wait");
      command.signal("SIGINT");
      // The two are told apart only when the first one was seen.
      await new Promise((resolve) => setTimeout(resolve, 100));
      command.signal("SIGINT");
      expect(await command.ended, command.output).toBe(130);
    },
    patience,
  );
});

describe.skipIf(reason !== undefined)("tesserae dev --target vm", () => {
  test(
    "boots again after a change, and ends on a signal",
    async () => {
      const app = path.join(folder, "app");
      cpSync(path.join(root, "test/fixtures/apps/conduct"), app, {
        recursive: true,
        filter: (each) => !each.includes(".tesserae"),
      });
      symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"));
      const main = path.join(app, "main.ts");
      command = new Command(["dev", app, "--target", "vm", "--no-check", "--how=listen-for-sigterm"]);
      await command.hear("ending by listen-for-sigterm");
      writeFileSync(main, readFileSync(main, "utf8").replace("ending by", "changed to end by"));
      await command.hear("heard SIGTERM");
      await command.hear("changed to end by listen-for-sigterm");
      command.signal("SIGTERM");
      await command.hear("the signal aborted");
      expect(await command.ended, command.output).toBe(0);
    },
    patience,
  );
});
