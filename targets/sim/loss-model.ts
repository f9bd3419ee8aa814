import type { SeededRandom } from "./random.ts";

/** Which frames are lost. Frames count from 1 on, from when the model is set. Probabilities are from 0 to 1. */
export type LossModel =
  /**
   * Gilbert and Elliott: a chain of two states, stepped with each frame. Without the last two all frames of the bad
   * state are lost and none of the good one, so that bursts have a mean length of 1 / `leave` and the share lost is
   * `enter` / (`enter` + `leave`).
   */
  | {
      readonly kind: "bursts";
      /** The probability to go from the good state to the bad one. */
      readonly enter: number;
      /** The probability to go back. */
      readonly leave: number;
      /** The probability of loss in the bad state. Default 1. */
      readonly bad?: number;
      /** The probability of loss in the good state. Default 0. */
      readonly good?: number;
    }
  /** The frames `first`, `first` + `every`, … Default of `first`: `every`. */
  | { readonly kind: "every"; readonly every: number; readonly first?: number }
  /** These frames. */
  | { readonly kind: "list"; readonly frames: readonly number[] }
  /** The frames for which it says so. It must be a function of its arguments, or of what else the seed fixes. */
  | { readonly kind: "when"; readonly lost: LossPredicate };

/** @param number of the frame, whose bytes are `bytes[offset … offset + length)`, lent until it returns */
export type LossPredicate = (bytes: Uint8Array, offset: number, length: number, number: number) => boolean;

/** The model whose bursts have a mean length of `length` frames, and lose `share` of all frames in the long run. */
export function burstLoss(share: number, length: number): LossModel {
  if (!(share >= 0 && share < 1)) throw new RangeError(`share ${String(share)} is not from 0 to below 1`);
  if (!(length >= 1)) throw new RangeError(`length ${String(length)} is below 1`);
  const leave = 1 / length;
  return { kind: "bursts", enter: Math.min(1, (leave * share) / (1 - share)), leave };
}

/** @throws RangeError naming the field that is out of range. */
export function checkLoss(loss: number | LossModel): void {
  const probability = (name: string, value: number): void => {
    if (!(value >= 0 && value <= 1)) throw new RangeError(`${name} ${String(value)} is not a probability from 0 to 1`);
  };
  const count = (name: string, value: number): void => {
    if (!(Number.isInteger(value) && value >= 1)) throw new RangeError(`${name} ${String(value)} is not 1 or more`);
  };
  if (typeof loss === "number") {
    probability("loss", loss);
    return;
  }
  switch (loss.kind) {
    case "bursts":
      probability("loss.enter", loss.enter);
      probability("loss.leave", loss.leave);
      probability("loss.bad", loss.bad ?? 1);
      probability("loss.good", loss.good ?? 0);
      break;
    case "every":
      count("loss.every", loss.every);
      count("loss.first", loss.first ?? 1);
      break;
    case "list":
      for (const frame of loss.frames) count("loss.frames", frame);
      break;
    case "when":
      if (typeof loss.lost !== "function") throw new RangeError("loss.lost is no function");
      break;
    default:
      throw new RangeError(`loss is no model: ${JSON.stringify(loss)}`);
  }
}

/** A model at work on one direction of a link. */
export class Loss {
  readonly #model: number | LossModel;
  readonly #random: SeededRandom;
  readonly #listed: ReadonlySet<number>;
  #bad = false;
  #frames = 0;

  constructor(model: number | LossModel, random: SeededRandom) {
    this.#model = model;
    this.#random = random;
    this.#listed = new Set(typeof model === "object" && model.kind === "list" ? model.frames : []);
  }

  /** Whether the next frame is lost. */
  next(bytes: Uint8Array, offset: number, length: number): boolean {
    const model = this.#model;
    if (typeof model === "number") return this.#random.chance(model);
    const number = ++this.#frames;
    switch (model.kind) {
      case "bursts":
        if (this.#random.chance(this.#bad ? model.leave : model.enter)) this.#bad = !this.#bad;
        return this.#random.chance(this.#bad ? (model.bad ?? 1) : (model.good ?? 0));
      case "every": {
        const first = model.first ?? model.every;
        return number >= first && (number - first) % model.every === 0;
      }
      case "list":
        return this.#listed.has(number);
      case "when":
        return model.lost(bytes, offset, length, number);
    }
  }
}
