import type { Clock } from "@tesserae/device/clock";

/** HTTP dates (RFC 9110 §5.6.7). */

const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `Sun, 06 Nov 1994 08:49:37 GMT` for wall-clock milliseconds; fractions of a second are cut off. */
export function formatDate(ms: number): string {
  return new Date(Math.floor(ms / 1000) * 1000).toUTCString();
}

const imf = /^(\w{3}), (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/;
const rfc850 = /^(\w{6,9}), (\d\d)-(\w{3})-(\d\d) (\d\d):(\d\d):(\d\d) GMT$/;
const asctime = /^(\w{3}) (\w{3}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/;

/**
 * Wall-clock milliseconds of an HTTP date in any of the three forms, or `undefined` when it is none.
 *
 * @param now wall-clock milliseconds; a two-digit year more than 50 years ahead of it lies in the century before
 */
export function parseDate(text: string, now: number): number | undefined {
  if (text.length > 40) return undefined;
  let match = imf.exec(text);
  if (match !== null) return instant(match[4], match[3], match[2], match[5], match[6], match[7]);
  match = asctime.exec(text);
  if (match !== null) return instant(match[7], match[2], match[3], match[4], match[5], match[6]);
  match = rfc850.exec(text);
  const name = match?.[1] ?? "";
  if (match === null || !days.some((day) => name.startsWith(day))) return undefined;
  const thisYear = new Date(now).getUTCFullYear();
  let year = thisYear - (thisYear % 100) + Number(match[4]);
  if (year > thisYear + 50) year -= 100;
  return instant(String(year), match[3], match[2], match[5], match[6], match[7]);
}

function instant(year = "", month = "", day = "", hour = "", minute = "", second = ""): number | undefined {
  const index = months.indexOf(month);
  const [h, m, s] = [Number(hour), Number(minute), Number(second)];
  // A leap second is the last second of its minute here.
  if (index < 0 || h > 23 || m > 59 || s > 60) return undefined;
  const ms = Date.UTC(Number(year), index, Number(day), h, m, Math.min(s, 59));
  return new Date(ms).getUTCDate() === Number(day) ? ms : undefined;
}

/** The value of the Date field, made once a second. */
export class DateField {
  readonly #clock: Clock;
  #second = -1;
  #text = "";

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The Date field for now, from its name to its line end. */
  line(): string {
    const second = Math.floor(this.#clock.wall() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = `date: ${formatDate(second * 1000)}\r\n`;
    }
    return this.#text;
  }
}
