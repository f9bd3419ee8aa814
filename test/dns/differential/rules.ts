// The differences that docs/dns.md explains. A rule says by whom, in what, and for which queries; a difference that no
// rule explains fails the test, and so does a rule that the document does not list.
import type { Aspect } from "./answer.ts";
import type { Difference } from "./run.ts";

export interface Rule {
  /** As in the first column of the table in docs/dns.md. */
  readonly name: string;
  readonly rivals: readonly string[];
  readonly aspects: readonly Aspect[];
  readonly when: (difference: Difference) => boolean;
}

export const rules: readonly Rule[] = [];

/** The name of the rule that explains a difference. */
export function explain(difference: Difference): string | undefined {
  return rules.find(
    ({ rivals, aspects, when }) =>
      rivals.includes(difference.rival) && aspects.includes(difference.aspect) && when(difference),
  )?.name;
}
