/** Token buckets by key: a burst, then a steady rate. Bounded: the longest idle bucket is forgotten first. */
export class TokenBuckets {
  readonly #burst: number;
  readonly #refillMs: number;
  readonly #max: number;
  /** In order of last use. `tokens` as of `at` (Unix milliseconds). */
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  /** @param options.refillMs time in which one token comes back; @param options.max buckets kept */
  constructor(options: { readonly burst: number; readonly refillMs: number; readonly max: number }) {
    this.#burst = options.burst;
    this.#refillMs = options.refillMs;
    this.#max = options.max;
  }

  /** Takes one token from the bucket of `key`. Returns 0, or the milliseconds until there will be one. */
  take(key: string, now: number): number {
    const wait = this.wait(key, now);
    this.#set(key, this.#tokens(key, now) - (wait > 0 ? 0 : 1), now);
    return wait;
  }

  /** 0 when the bucket of `key` has a token, or the milliseconds until there will be one. Takes none. */
  wait(key: string, now: number): number {
    const tokens = this.#tokens(key, now);
    return tokens >= 1 ? 0 : Math.ceil((1 - tokens) * this.#refillMs);
  }

  /** Takes one token, also one that is not there yet: for what has happened already. The debt is a burst at most. */
  spend(key: string, now: number): void {
    this.#set(key, Math.max(-this.#burst, this.#tokens(key, now) - 1), now);
  }

  /** Buckets in memory. */
  get size(): number {
    return this.#buckets.size;
  }

  #tokens(key: string, now: number): number {
    const found = this.#buckets.get(key);
    if (found === undefined) return this.#burst;
    return Math.min(this.#burst, found.tokens + Math.max(0, now - found.at) / this.#refillMs);
  }

  #set(key: string, tokens: number, now: number): void {
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens, at: now });
    if (this.#buckets.size > this.#max) this.#buckets.delete(this.#buckets.keys().next().value!);
  }
}

/** What counts as one visitor or agent: an IPv4 address, or the /64 that an IPv6 user has to himself. */
export function addressGroup(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1]!;
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.toLowerCase().split("%")[0]!.split("::");
  const left = head.split(":").filter((group) => group !== "");
  const right = tail === undefined ? [] : tail.split(":").filter((group) => group !== "");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array<string>(zeros).fill("0"), ...right];
  return `${groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, "")).join(":")}::/64`;
}
