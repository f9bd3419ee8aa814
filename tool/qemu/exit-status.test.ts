import { describe, expect, test } from "vitest";
import { imageStatus, type Ending } from "./exit-status.ts";

function ending(more: Partial<Ending>): Ending {
  return { code: 0, signal: null, told: undefined, stderr: "", reason: "guest-shutdown", ...more };
}

describe("the status of an image", () => {
  test.each([
    ["the exit device's", { code: 7 * 2 + 1 }, 7],
    ["also when the console was cut off", { code: 101 * 2 + 1, told: undefined }, 101],
    ["0 when the kernel said so too", { code: 1, told: 0 }, 0],
    ["the kernel's last line without that device", { code: 0, told: 3 }, 3],
  ])("%s", (_what, more, status) => {
    expect(imageStatus(ending(more))).toBe(status);
  });

  test.each([
    [
      "QEMU refused",
      { code: 1, stderr: "qemu-system-x86_64: -M x: unsupported machine type\n" },
      "QEMU: -M x: unsupported",
    ],
    [
      "QEMU warned before it refused",
      { code: 1, stderr: "qemu-system-x86_64: warning: slow\nqemu-system-x86_64: cannot set up guest memory\n" },
      "QEMU: cannot set up guest memory",
    ],
    ["it was killed", { code: null, signal: "SIGKILL" }, "QEMU was ended by SIGKILL"],
    ["it reset itself", { code: 0, reason: "guest-reset" }, "reset itself without a word"],
    ["it was switched off", { code: 0 }, "ended without a word"],
    ["1 is QEMU's own, whatever the image said before", { code: 1, told: 4 }, "without a word"],
    [
      "the image is larger than the memory",
      { code: 1, stderr: "qemu: initrd is too large, cannot support.(max: 1, need 2)\n" },
      "does not fit into the machine's memory",
    ],
  ])("there is none when %s", (_what, more, words) => {
    expect(() => imageStatus(ending(more))).toThrow(words);
  });
});
