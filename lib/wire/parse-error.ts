/** What is wrong with bytes a peer sent: data, not an exception. */
export interface ParseError {
  /**
   * `truncated`: the bytes end too early. `value`: a field holds what the protocol does not allow. `length`: a length
   * field disagrees with the bytes or with another field. `checksum`: the bytes were damaged. `unsupported`: allowed
   * by the protocol, not by us.
   */
  readonly kind: "truncated" | "value" | "length" | "checksum" | "unsupported";
  /** The protocol or layout: `udp`. */
  readonly layer: string;
  /** The field at fault; empty when it is the layer as a whole. */
  readonly field: string;
  /** Where the field starts: an index of the byte array that was given to the parser. */
  readonly offset: number;
  /** One sentence for people, complete in itself. */
  readonly message: string;
}

/** What a parser returns: the value, or why there is none. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: ParseError };

/** A failed {@link Parsed}. The message becomes `layer.field at offset: what`. */
export function failed(
  kind: ParseError["kind"],
  layer: string,
  field: string,
  offset: number,
  what: string,
): { readonly ok: false; readonly error: ParseError } {
  const where = field === "" ? layer : `${layer}.${field}`;
  return { ok: false, error: { kind, layer, field, offset, message: `${where} at ${String(offset)}: ${what}` } };
}
