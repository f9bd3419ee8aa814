import { fault, type HttpFault } from "./fault.ts";

/** The four forms of a request target (RFC 9112 §3.2). */
export type TargetForm = "origin" | "absolute" | "authority" | "asterisk";

export interface Target {
  readonly form: TargetForm;
  /** `host` or `host:port` as sent in the target, else `undefined`. */
  readonly authority: string | undefined;
  /** Path and query, starting with `/`; `*` for asterisk-form; empty for authority-form. */
  readonly path: string;
}

/** Sorts out a request target. The octets of `target` have been checked, see `targetOctet`. */
export function parseTarget(method: string, target: string): Target | HttpFault {
  if (method === "CONNECT") {
    return isAuthority(target) && /:\d+$/.test(target)
      ? { form: "authority", authority: target, path: "" }
      : bad("CONNECT needs host:port");
  }
  if (target.charCodeAt(0) === 0x2f) return { form: "origin", authority: undefined, path: target };
  if (target === "*") return method === "OPTIONS" ? asterisk : bad("* is only for OPTIONS");
  const scheme = /^https?:\/\//i.exec(target)?.[0].length ?? 0;
  if (scheme === 0) return bad("the target is not a path, an http URL or *");
  let end = scheme;
  while (end < target.length && target[end] !== "/" && target[end] !== "?") end++;
  const authority = target.slice(scheme, end);
  if (authority === "" || !isAuthority(authority)) return bad("the target has no valid host");
  const path = target.slice(end);
  return { form: "absolute", authority, path: path.startsWith("/") ? path : `/${path}` };
}

const asterisk: Target = { form: "asterisk", authority: undefined, path: "*" };

function bad(message: string): HttpFault {
  return fault("target", 400, -1, message);
}

/**
 * Whether `text` is `uri-host [ ":" port ]` (RFC 9110 §7.2) without user information. Of the characters that a
 * reg-name may have, only those seen in names are accepted: letters, digits, `-`, `.`, `_`, `~` and percent.
 */
export function isAuthority(text: string): boolean {
  if (text.length > 261) return false;
  let at = 0;
  if (text.startsWith("[")) {
    at = text.indexOf("]") + 1;
    if (at < 4) return false;
    for (let index = 1; index < at - 1; index++) {
      const code = text.charCodeAt(index);
      if (!isHex(code) && code !== 0x3a && code !== 0x2e) return false;
    }
  } else {
    while (at < text.length && isHostCode(text.charCodeAt(at))) at++;
    if (at === 0) return false;
  }
  if (at === text.length) return true;
  if (text.charCodeAt(at) !== 0x3a || text.length - at > 6) return false;
  let port = 0;
  for (at++; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
  }
  return port < 65_536;
}

function isHex(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x66);
}

function isHostCode(code: number): boolean {
  const lower = code | 0x20;
  return (
    (lower >= 0x61 && lower <= 0x7a) ||
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2d ||
    code === 0x2e ||
    code === 0x5f ||
    code === 0x7e ||
    code === 0x25
  );
}
