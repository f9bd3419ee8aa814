/** Groups of one interface at once. */
const mostGroups = 64;

/** 224.0.0.1, which every host is in and nobody reports (RFC 1112 §4). */
export const allSystems = 0xe0000001 | 0;

/** The multicast groups heard on one interface, each with the number of users that want it. Bounded. */
export class GroupTable {
  readonly #groups = new Int32Array(mostGroups);
  readonly #users = new Int32Array(mostGroups);
  #count = 0;

  get size(): number {
    return this.#count;
  }

  /** The group at a place from 0 to {@link size} − 1, as `IpAddress.w3`. */
  at(place: number): number {
    return this.#groups[place] ?? 0;
  }

  has(group: number): boolean {
    return group === allSystems || this.#place(group) >= 0;
  }

  /** @returns how many users want it now; 0 when there is no room. */
  add(group: number): number {
    const known = this.#place(group);
    if (known >= 0) return (this.#users[known] = (this.#users[known] ?? 0) + 1);
    if (this.#count === mostGroups) return 0;
    this.#groups[this.#count] = group;
    this.#users[this.#count++] = 1;
    return 1;
  }

  /** @returns how many users still want it; −1 when nobody did. */
  remove(group: number): number {
    const place = this.#place(group);
    if (place < 0) return -1;
    const users = (this.#users[place] ?? 0) - 1;
    this.#users[place] = users;
    if (users === 0) {
      const last = --this.#count;
      this.#groups[place] = this.#groups[last] ?? 0;
      this.#users[place] = this.#users[last] ?? 0;
    }
    return users;
  }

  #place(group: number): number {
    for (let place = 0; place < this.#count; place++) if (this.#groups[place] === group) return place;
    return -1;
  }
}
