/**
 * A hierarchical timing wheel in front of a small heap.
 *
 * The wheel files far deadlines by whole millisecond in constant time and cancels them in constant time; only those
 * of the milliseconds at hand are kept in exact order, in the heap. An entry moves towards the heap at most six
 * times. Everything is linked through the entries themselves: filing one allocates nothing.
 *
 * Invariant: every entry in the heap lies in a tick up to the horizon, every other entry in a later one, so the top
 * of a heap that is not empty is the earliest entry of all.
 */

const slotBits = 6;
const slots = 1 << slotBits;
const levels = 5;
/** The wheel spans this many ticks of a millisecond (12.4 days), aligned; later entries wait in one far list. */
const blockTicks = 2 ** (slotBits * levels);
const farSlot = levels * slots;

/** `WheelEntry.place` below the slot numbers. */
const placeNone = -1;
const placeHeap = -2;
const placeTaken = -3;

/** How many entries of one slot `next` looks at before it sorts them instead. */
const scanLimit = 32;

/** One deadline, in at most one wheel. */
export class WheelEntry {
  /** Milliseconds; `Infinity` when it is not filed. */
  deadline = Infinity;
  /** Orders equal deadlines. */
  sequence = 0;
  /** Private to the wheel: the slot the entry is linked in, or one of the negative places. */
  place = placeNone;
  /** Private to the wheel: the index in the heap. */
  heapIndex = 0;
  /** Private to the wheel: neighbours in the slot's list. */
  previous: WheelEntry | null = null;
  next: WheelEntry | null = null;
}

/** Entries by deadline, first filed first among equals. */
export class TimingWheel<Entry extends WheelEntry> {
  readonly #heads: (WheelEntry | null)[] = new Array<WheelEntry | null>(farSlot + 1).fill(null);
  /** Two words of occupancy a level, slot 0 in the lowest bit of the first. */
  readonly #occupied = new Int32Array(levels * 2);
  readonly #heap: WheelEntry[] = [];
  /** Entries linked in slots, the far list left out. */
  #linked = 0;
  #far = 0;
  /** No far entry lies in an earlier block. */
  #farBlock = Infinity;
  /** Ticks up to this one are in the heap. Split as `#block * blockTicks + #low`. */
  #horizon: number;
  #block: number;
  #low: number;
  #sequence = 0;
  #size = 0;

  /** @param now milliseconds: about where deadlines will start */
  constructor(now: number) {
    this.#horizon = Math.floor(now);
    this.#block = Math.floor(this.#horizon / blockTicks);
    this.#low = this.#horizon - this.#block * blockTicks;
  }

  /** How many entries are filed and not taken. */
  get size(): number {
    return this.#size;
  }

  /** Files an entry that is not filed. `deadline` is a number below `Infinity`. */
  insert(entry: Entry, deadline: number): void {
    entry.deadline = deadline;
    entry.sequence = this.#sequence++;
    this.#size++;
    this.#place(entry);
  }

  /** Unfiles an entry, also one that was taken. Harmless when it is neither. */
  remove(entry: Entry): void {
    const place = entry.place;
    if (place === placeNone) return;
    entry.deadline = Infinity;
    entry.place = placeNone;
    if (place === placeTaken) return;
    this.#size--;
    if (place === placeHeap) this.#heapRemove(entry);
    else this.#unlink(entry, place);
  }

  /** The earliest deadline, or `Infinity`. */
  next(): number {
    for (;;) {
      const top = this.#heap[0];
      if (top !== undefined) return top.deadline;
      const slot = this.#firstSlot();
      if (slot < 0) return Infinity;
      // A short list is searched where it is. Sorting it would carry the horizon past now, and whatever is set next
      // would have to go through the heap.
      let earliest = Infinity;
      let looked = 0;
      let entry = this.#heads[slot] ?? null;
      while (entry !== null && looked < scanLimit) {
        if (entry.deadline < earliest) earliest = entry.deadline;
        entry = entry.next;
        looked++;
      }
      if (entry === null) return earliest;
      this.#open(slot);
    }
  }

  /** Appends every entry due at `now` to `into`, in order. They stay {@link isTaken} until removed or filed again. */
  takeDue(now: number, into: Entry[]): void {
    this.#advance(Math.floor(now));
    for (;;) {
      const top = this.#heap[0];
      if (top === undefined || top.deadline > now) return;
      this.#heapRemove(top);
      this.#size--;
      top.place = placeTaken;
      // as: only `insert`, which takes an Entry, puts anything in the wheel
      into.push(top as Entry);
    }
  }

  /** Whether the entry was taken by {@link takeDue} and not removed since. */
  isTaken(entry: Entry): boolean {
    return entry.place === placeTaken;
  }

  #advance(tick: number): void {
    while (this.#linked > 0 || this.#far > 0) {
      const slot = this.#firstSlot();
      if (slot < 0 || this.#startOf(slot) > tick) break;
      this.#open(slot);
    }
    if (tick > this.#horizon) this.#moveHorizon(tick);
  }

  #moveHorizon(tick: number): void {
    this.#horizon = tick;
    this.#block = Math.floor(tick / blockTicks);
    this.#low = tick - this.#block * blockTicks;
  }

  /** The slot with the earliest entries outside the heap, or −1. Lower levels are always earlier. */
  #firstSlot(): number {
    if (this.#linked > 0) {
      for (let level = 0; level < levels; level++) {
        const first = this.#occupied[level * 2] ?? 0;
        if (first !== 0) return level * slots + trailingZeros(first);
        const second = this.#occupied[level * 2 + 1] ?? 0;
        if (second !== 0) return level * slots + 32 + trailingZeros(second);
      }
    }
    return this.#far > 0 ? farSlot : -1;
  }

  /** The first tick a slot stands for; of the far list, a lower bound. */
  #startOf(slot: number): number {
    if (slot === farSlot) return this.#farBlock * blockTicks;
    const shift = (slot >> slotBits) * slotBits;
    const above = (this.#low >>> (shift + slotBits)) << (shift + slotBits);
    return this.#block * blockTicks + (above | ((slot & (slots - 1)) << shift));
  }

  /** Moves the horizon to the start of the first slot and its entries one level down, or into the heap. */
  #open(slot: number): void {
    if (slot === farSlot) {
      this.#openFar();
      return;
    }
    this.#moveHorizon(this.#startOf(slot));
    let entry = this.#heads[slot] ?? null;
    this.#heads[slot] = null;
    this.#vacate(slot);
    while (entry !== null) {
      const next: WheelEntry | null = entry.next;
      this.#linked--;
      this.#place(entry);
      entry = next;
    }
  }

  #openFar(): void {
    let block = Infinity;
    for (let entry = this.#heads[farSlot] ?? null; entry !== null; entry = entry.next) {
      block = Math.min(block, Math.floor(Math.floor(entry.deadline) / blockTicks));
    }
    // The bound was too low: its entry is gone. Known now, and nothing moves until its time comes.
    const moves = block === this.#farBlock;
    this.#farBlock = block;
    if (!moves) return;
    this.#moveHorizon(block * blockTicks);
    let entry = this.#heads[farSlot] ?? null;
    this.#heads[farSlot] = null;
    this.#far = 0;
    this.#farBlock = Infinity;
    while (entry !== null) {
      const next: WheelEntry | null = entry.next;
      this.#place(entry);
      entry = next;
    }
  }

  #place(entry: WheelEntry): void {
    const tick = Math.floor(entry.deadline);
    if (tick <= this.#horizon) {
      this.#heapInsert(entry);
      return;
    }
    const block = Math.floor(tick / blockTicks);
    let slot = farSlot;
    if (block === this.#block) {
      const low = tick - block * blockTicks;
      // The highest digit in which tick and horizon differ is the level: (x * 43) >> 8 is x / 6 for x below 30.
      const level = ((31 - Math.clz32(low ^ this.#low)) * 43) >> 8;
      const digit = (low >>> (level * slotBits)) & (slots - 1);
      slot = level * slots + digit;
      const word = slot >> 5;
      this.#occupied[word] = (this.#occupied[word] ?? 0) | (1 << (slot & 31));
      this.#linked++;
    } else {
      this.#far++;
      if (block < this.#farBlock) this.#farBlock = block;
    }
    const head = this.#heads[slot] ?? null;
    entry.place = slot;
    entry.previous = null;
    entry.next = head;
    if (head !== null) head.previous = entry;
    this.#heads[slot] = entry;
  }

  #unlink(entry: WheelEntry, slot: number): void {
    const { previous, next } = entry;
    if (next !== null) next.previous = previous;
    if (previous !== null) previous.next = next;
    else {
      this.#heads[slot] = next;
      if (next === null) this.#vacate(slot);
    }
    entry.previous = null;
    entry.next = null;
    if (slot === farSlot) this.#far--;
    else this.#linked--;
  }

  #vacate(slot: number): void {
    if (slot === farSlot) {
      this.#farBlock = Infinity;
      return;
    }
    const word = slot >> 5;
    this.#occupied[word] = (this.#occupied[word] ?? 0) & ~(1 << (slot & 31));
  }

  #heapInsert(entry: WheelEntry): void {
    entry.place = placeHeap;
    entry.previous = null;
    entry.next = null;
    this.#heap.push(entry);
    this.#siftUp(entry, this.#heap.length - 1);
  }

  #heapRemove(entry: WheelEntry): void {
    const heap = this.#heap;
    const index = entry.heapIndex;
    const last = heap.pop();
    if (last === undefined || last === entry) return;
    const parent = heap[(index - 1) >> 1];
    if (index > 0 && parent !== undefined && isBefore(last, parent)) this.#siftUp(last, index);
    else this.#siftDown(last, index);
  }

  #siftUp(entry: WheelEntry, from: number): void {
    const heap = this.#heap;
    let index = from;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (parent === undefined || !isBefore(entry, parent)) break;
      heap[index] = parent;
      parent.heapIndex = index;
      index = parentIndex;
    }
    heap[index] = entry;
    entry.heapIndex = index;
  }

  #siftDown(entry: WheelEntry, from: number): void {
    const heap = this.#heap;
    let index = from;
    for (;;) {
      let childIndex = index * 2 + 1;
      let child = heap[childIndex];
      if (child === undefined) break;
      const right = heap[childIndex + 1];
      if (right !== undefined && isBefore(right, child)) {
        child = right;
        childIndex++;
      }
      if (!isBefore(child, entry)) break;
      heap[index] = child;
      child.heapIndex = index;
      index = childIndex;
    }
    heap[index] = entry;
    entry.heapIndex = index;
  }
}

function isBefore(one: WheelEntry, other: WheelEntry): boolean {
  return one.deadline < other.deadline || (one.deadline === other.deadline && one.sequence < other.sequence);
}

function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word);
}
