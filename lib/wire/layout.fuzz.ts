import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import {
  bits,
  bytes,
  flag,
  flags,
  i32,
  ipv4,
  ipv6,
  layout,
  mac,
  u16,
  u16le,
  u24,
  u32,
  u32le,
  u64,
  u64le,
  u8,
} from "./layout.ts";

const everything = layout("everything", {
  a: u8(),
  b: u16({ hex: true }),
  c: u24(),
  d: u32({ names: { 1: "one" } }),
  e: i32(),
  f: u64(),
  g: u16le(),
  h: u32le(),
  i: u64le(),
  j: bits(3),
  k: bits(13),
  l: flag(),
  m: bits(20),
  n: bits(3),
  o: flags(["cwr", undefined, "urg", "ack", "psh", "rst", "syn", "fin"]),
  p: mac(),
  q: ipv4(),
  r: ipv6(),
  s: bytes(5),
});

/** What is read can be written, and gives the same bytes. */
export const fuzz: FuzzTarget = {
  name: "layout",
  seeds: [Uint8Array.from({ length: everything.size }, (_, index) => index * 5)],
  run(input) {
    everything.dump(input);
    const parsed = everything.parse(input);
    if (parsed.ok !== input.length >= everything.size) throw new Error("parse and size disagree");
    const view = everything.view();
    if (view.attach(input, 0, input.length) !== parsed.ok) throw new Error("parse and attach disagree");
    if (!parsed.ok) return;
    const copy = new Uint8Array(everything.size);
    everything.emit(parsed.value, copy);
    if (!copy.every((byte, index) => byte === input[index])) throw new Error("emit writes other bytes");
    if (everything.print(parsed.value) !== view.toString()) throw new Error("record and view print differently");
  },
};
