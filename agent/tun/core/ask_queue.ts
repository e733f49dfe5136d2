/** What waits to be asked of a far side: so many at once, so many of them about one place, and the places take turns. */

interface Lane<Item> {
  readonly waiting: Set<Item>;
  running: number;
}

export interface AskQueueOptions {
  readonly max: number;
  /** A place that keeps silent stops only itself. */
  readonly maxPerPlace: number;
}

export class AskQueue<Item> {
  readonly #options: AskQueueOptions;
  /** By place; whose turn it was last comes last. */
  readonly #lanes = new Map<string, Lane<Item>>();
  readonly #places = new Map<Item, string>();
  #running = 0;

  constructor(options: AskQueueOptions) {
    this.#options = options;
  }

  /** Those that wait, and those that are being asked. */
  get size(): number {
    return this.#places.size;
  }

  add(item: Item, place: string): void {
    let lane = this.#lanes.get(place);
    if (lane === undefined) this.#lanes.set(place, lane = { waiting: new Set(), running: 0 });
    lane.waiting.add(item);
    this.#places.set(item, place);
  }

  /** The next to be asked; `done` must follow. Undefined when there is none, or no room. */
  next(): Item | undefined {
    if (this.#running >= this.#options.max) return undefined;
    for (const [place, lane] of this.#lanes) {
      if (lane.waiting.size === 0 || lane.running >= this.#options.maxPerPlace) continue;
      const [item] = lane.waiting;
      lane.waiting.delete(item!);
      lane.running++;
      this.#running++;
      this.#lanes.delete(place);
      this.#lanes.set(place, lane);
      return item;
    }
    return undefined;
  }

  /** It has been answered. */
  done(item: Item): void {
    const place = this.#places.get(item);
    const lane = place === undefined ? undefined : this.#lanes.get(place);
    if (lane === undefined || lane.waiting.has(item)) return;
    this.#places.delete(item);
    lane.running--;
    this.#running--;
    this.#tidy(place!, lane);
  }

  /** It need not be asked any more. One that is being asked stays until it is `done`. */
  remove(item: Item): void {
    const place = this.#places.get(item);
    const lane = place === undefined ? undefined : this.#lanes.get(place);
    if (lane === undefined || !lane.waiting.delete(item)) return;
    this.#places.delete(item);
    this.#tidy(place!, lane);
  }

  #tidy(place: string, lane: Lane<Item>): void {
    if (lane.waiting.size === 0 && lane.running === 0) this.#lanes.delete(place);
  }
}
