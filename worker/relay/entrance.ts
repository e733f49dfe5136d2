/** Counts those who are on the way in, by address, under two bounds: one for each and one for all. */
import { addressGroup } from "../../shared/token_buckets.ts";

export class Entrance {
  readonly #each: number;
  readonly #all: number;
  readonly #by = new Map<string, number>();
  #count = 0;

  /** @param each how many from one address may be on the way at once; @param all how many there may be */
  constructor(each: number, all: number) {
    this.#each = each;
    this.#all = all;
  }

  /** Takes a place; undefined when there is none. What is returned gives it back, once. */
  enter(address: string | undefined): (() => void) | undefined {
    const group = address === undefined ? "" : addressGroup(address);
    const before = this.#by.get(group) ?? 0;
    if (this.#count >= this.#all || (group !== "" && before >= this.#each)) return undefined;
    this.#count++;
    this.#by.set(group, before + 1);
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#count--;
      const left = this.#by.get(group)! - 1;
      if (left > 0) this.#by.set(group, left);
      else this.#by.delete(group);
    };
  }
}
