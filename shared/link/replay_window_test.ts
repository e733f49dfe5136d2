import assert from "node:assert/strict";
import { randomInt, seededRandom } from "../random.ts";
import { ReplayWindow } from "./replay_window.ts";

/** What the window should do, without any cleverness. */
class Naive {
  readonly #seen = new Set<number>();
  readonly #size: number;
  #highest = -1;

  constructor(size: number) {
    this.#size = size;
  }

  accept(counter: number): boolean {
    if (counter <= this.#highest - this.#size || this.#seen.has(counter)) return false;
    this.#seen.add(counter);
    this.#highest = Math.max(this.#highest, counter);
    return true;
  }
}

Deno.test("every number is accepted once", () => {
  const window = new ReplayWindow();
  for (let i = 0; i < 5000; i++) {
    assert.equal(window.accept(i), true);
    assert.equal(window.accept(i), false);
  }
});

Deno.test("numbers may come late, up to the size of the window", () => {
  for (const size of [1, 2, 31, 32, 33, 64, 1024]) {
    const window = new ReplayWindow(size);
    assert.equal(window.accept(10_000), true);
    assert.equal(window.accept(10_000 - size + 1), size > 1, `${size}`);
    assert.equal(window.accept(10_000 - size), false, `${size}`);
    assert.equal(window.accept(0), false);
    assert.equal(window.accept(10_000), false);
  }
});

Deno.test("a leap ahead forgets what is too old, and nothing that is not", () => {
  const window = new ReplayWindow(100);
  for (let i = 0; i < 200; i++) window.accept(i);
  assert.equal(window.accept(2 ** 40), true);
  for (let i = 0; i < 200; i++) assert.equal(window.accept(i), false);
  for (let i = 99; i > 0; i--) assert.equal(window.accept(2 ** 40 - i), true);
  for (let i = 99; i > 0; i--) assert.equal(window.accept(2 ** 40 - i), false);
});

Deno.test("it goes on to the last safe integer, and takes nothing else", () => {
  const window = new ReplayWindow(1024);
  for (const wrong of [-1, -(2 ** 31), 0.5, NaN, Infinity, -Infinity, 2 ** 53, 2 ** 60]) {
    assert.equal(window.accept(wrong), false);
  }
  assert.equal(window.accept(0), true);
  assert.equal(window.accept(Number.MAX_SAFE_INTEGER), true);
  assert.equal(window.accept(Number.MAX_SAFE_INTEGER), false);
  assert.equal(window.accept(Number.MAX_SAFE_INTEGER - 1023), true);
  assert.equal(window.accept(Number.MAX_SAFE_INTEGER - 1024), false);
  for (const size of [0, -1, 1.5, NaN]) assert.throws(() => new ReplayWindow(size), RangeError);
});

Deno.test("it agrees with a plain set on random sequences", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed);
    const size = 1 + randomInt(random, 300);
    const [window, naive] = [new ReplayWindow(size), new Naive(size)];
    let around = randomInt(random, 2) === 0 ? 0 : 2 ** 45;
    for (let i = 0; i < 2000; i++) {
      if (randomInt(random, 4) === 0) around += randomInt(random, 8);
      if (randomInt(random, 300) === 0) around += randomInt(random, 3 * size);
      const counter = Math.max(0, around - randomInt(random, 2 * size) + randomInt(random, 10));
      const note = `seed ${seed}, step ${i}, size ${size}: ${counter}`;
      assert.equal(window.accept(counter), naive.accept(counter), note);
    }
  }
});
