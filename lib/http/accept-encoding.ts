/**
 * The first of `offered` that an Accept-Encoding field (RFC 9110 §12.5.3) accepts, or `undefined` when none is.
 *
 * @param offered content codings in lower case, the best first; among acceptable ones weights decide
 */
export function chooseCoding(field: string | null, offered: readonly string[]): string | undefined {
  if (field === null || field.length > 1024) return undefined;
  const weights = new Map<string, number>();
  for (const part of field.split(",")) {
    const [name = "", ...parameters] = part.split(";");
    let weight = 1;
    for (const parameter of parameters) {
      const match = /^\s*q=(\d(?:\.\d{0,3})?)\s*$/i.exec(parameter);
      if (match?.[1] !== undefined) weight = Number(match[1]);
    }
    weights.set(name.trim().toLowerCase(), weight);
  }
  let best: string | undefined;
  let most = 0;
  for (const coding of offered) {
    const weight = weights.get(coding) ?? weights.get("*") ?? 0;
    if (weight > most) {
      best = coding;
      most = weight;
    }
  }
  return best;
}
