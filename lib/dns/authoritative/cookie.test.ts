import { IpAddress } from "@tesserae/device/address";
import { describe, expect, it } from "vitest";
import { Cookies } from "./cookie.ts";

const bytes = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const hex = (data: Uint8Array): string => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");

describe("server cookies (RFC 9018 appendix A)", () => {
  const clock = { seconds: 1559731985, now: () => 0, wall: () => clock.seconds * 1000 };
  const client = IpAddress.parse("198.51.100.100");
  const cookies = new Cookies(clock, [bytes("e5e973e5a6b2a43f48e7dc849e37bfcf")]);

  it("A.1: learning a new server cookie", () => {
    clock.seconds = 1559731985;
    const out = new Uint8Array(24);
    cookies.write(bytes("2464c4abcf10c957"), 0, client, out, 0);
    expect(hex(out)).toBe("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
  });

  it("accepts its own for an hour, from that client only", () => {
    clock.seconds = 1559731985;
    const out = new Uint8Array(24);
    cookies.write(bytes("2464c4abcf10c957"), 0, client, out, 0);
    expect(cookies.isOurs(out, 0, 24, client)).toBe(true);
    expect(cookies.isOurs(out, 0, 24, IpAddress.parse("198.51.100.101"))).toBe(false);
    expect(cookies.isOurs(out, 0, 16, client)).toBe(false);
    clock.seconds += 3600;
    expect(cookies.isOurs(out, 0, 24, client)).toBe(true);
    clock.seconds += 1;
    expect(cookies.isOurs(out, 0, 24, client)).toBe(false);
    clock.seconds = 1559731985 - 301;
    expect(cookies.isOurs(out, 0, 24, client)).toBe(false);
  });

  it("A.4: accepts those of the secret before", () => {
    clock.seconds = 1559741961;
    const both = new Cookies(clock, [
      bytes("445536bcd2513298075a5d379663c962"),
      bytes("dd3bdf9344b678b185a6f5cb60fca715"),
    ]);
    const six = IpAddress.parse("2001:db8:220:1:59de:d0f4:8769:82b8");
    const old = new Cookies(clock, [bytes("dd3bdf9344b678b185a6f5cb60fca715")]);
    const out = new Uint8Array(24);
    old.write(bytes("22681ab97d52c298"), 0, six, out, 0);
    expect(both.isOurs(out, 0, 24, six)).toBe(true);
    both.write(bytes("22681ab97d52c298"), 0, six, out, 0);
    expect(hex(out)).toBe("22681ab97d52c298010000005cf7c609a6bb79d16625507a");
    expect(old.isOurs(out, 0, 24, six)).toBe(false);
  });
});
