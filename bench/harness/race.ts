/**
 * Races: contenders measured in turns in one run, each figure a ratio to a named rival of the same round.
 *
 * Absolute figures of a shared machine mean little; two measurements taken next to each other mean more, and the
 * median of many such pairs is worth reporting.
 */

/** One way to do the work. */
export interface Contender {
  readonly name: string;
  /** Does the work for a while. @returns how much was done a second, in the unit of the race: more is better */
  measure(): number | Promise<number>;
}

export interface Race {
  readonly name: string;
  /** What the rates count: `packets/s`. */
  readonly unit: string;
  /** The contender that the others are compared with. */
  readonly rival: string;
  readonly contenders: readonly Contender[];
}

/** What one contender did, against the rival. */
export interface Figure {
  readonly race: string;
  readonly unit: string;
  readonly contender: string;
  readonly rival: string;
  /** Median, least and greatest of the ratios contender / rival, one a round: above 1 is faster than the rival. */
  readonly ratio: { readonly median: number; readonly min: number; readonly max: number };
  /** How many rounds. */
  readonly rounds: number;
  /** Median rate of the contender, in `unit`. */
  readonly rate: number;
}

/** The middle value, or the mean of the two in the middle. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >>> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Runs a race: every contender once a round, the first of each round another one in turn.
 *
 * @param rounds how many rounds count, at least 1; `warmUp` more are run before and thrown away
 * @throws RangeError when the rival is not among the contenders, or two have one name.
 */
export async function runRace(race: Race, rounds: number, warmUp = 2): Promise<Figure[]> {
  const { contenders } = race;
  const rival = contenders.findIndex((each) => each.name === race.rival);
  if (rival < 0) throw new RangeError(`race "${race.name}": no contender is named "${race.rival}"`);
  if (new Set(contenders.map((each) => each.name)).size < contenders.length) {
    throw new RangeError(`race "${race.name}": two contenders have one name`);
  }
  const rates: number[][] = contenders.map(() => []);
  for (let round = -warmUp; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const index = (turn + round + warmUp) % contenders.length;
      const rate = await contenders[index]!.measure();
      if (round >= 0) rates[index]!.push(rate);
    }
  }
  return contenders.flatMap((contender, index) => {
    const own = rates[index]!;
    const ratios = own.map((rate, round) => rate / rates[rival]![round]!);
    const ratio = { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) };
    const rate = median(own);
    return [{ race: race.name, unit: race.unit, contender: contender.name, rival: race.rival, ratio, rounds, rate }];
  });
}
