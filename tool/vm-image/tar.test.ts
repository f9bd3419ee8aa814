import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readTarFile, writeTar } from "./tar.ts";

const files = [
  { name: "a.txt", bytes: Buffer.from("hello\n") },
  { name: "folder/run", bytes: Buffer.alloc(1000, 7), executable: true },
  { name: "empty", bytes: Buffer.alloc(0) },
];

test("an archive is one that tar reads", () => {
  const archive = Buffer.concat([...writeTar(files)]);
  expect(archive.length % 512).toBe(0);
  const listed = spawnSync("tar", ["-tvf", "-"], { input: archive, encoding: "utf8" });
  expect(listed.stderr).toBe("");
  expect(
    listed.stdout
      .trim()
      .split("\n")
      .map((line) => line.replaceAll(/\s+/g, " ")),
  ).toEqual([
    "-rw-r--r-- 0/0 6 1970-01-01 00:00 a.txt",
    "-rwxr-xr-x 0/0 1000 1970-01-01 00:00 folder/run",
    "-rw-r--r-- 0/0 0 1970-01-01 00:00 empty",
  ]);
});

test("files are found by name", () => {
  const archive = Buffer.concat([...writeTar(files)]);
  expect(readTarFile(archive, "folder/run")).toEqual(Buffer.alloc(1000, 7));
  expect(readTarFile(archive, "empty")).toHaveLength(0);
  expect(readTarFile(archive, "folder")).toBeUndefined();
});

test("an archive that tar wrote, with long names split in two, is read", () => {
  const name = `${"d".repeat(90)}/${"f".repeat(90)}`;
  const script = `mkdir -p ${"d".repeat(90)}; printf x > ${name}; tar --format=ustar -cf - ${name}`;
  const made = spawnSync("sh", ["-c", `cd "$(mktemp -d)"; ${script}`], { encoding: "latin1" });
  expect(readTarFile(Buffer.from(made.stdout, "latin1"), name)).toEqual(Buffer.from("x"));
});

test("damage is seen", () => {
  const archive = Buffer.concat([...writeTar(files)]);
  archive[3] = 0xff;
  expect(() => readTarFile(archive, "empty")).toThrow("damaged");
  const cut = Buffer.concat([...writeTar(files)]).subarray(0, 1600);
  expect(() => readTarFile(cut, "empty")).toThrow("the archive ends inside a file");
});

test("no bytes make the reader fail in another way", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.nat(3000), (noise, at) => {
      const archive = Buffer.concat([...writeTar(files)]);
      archive.set(noise.subarray(0, archive.length - at), at);
      try {
        readTarFile(archive, "empty");
      } catch (error) {
        expect(error).toHaveProperty("name", "FormatError");
      }
    }),
  );
});
