import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import process from "node:process";
import { LOCAL_BUFFER_BYTES } from "../../shared/limits.ts";
import { socketEnd } from "./socket_end.ts";
import { Recorder } from "./testing/recorder.ts";
import { bytes, drain, socketPair, text } from "./testing/sockets.ts";

const MiB = 2 ** 20;

/** Everything the system still has to do with sockets has happened: a full round through another one. */
async function settled(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    const { dialled, accepted, close } = await socketPair();
    dialled.write("x");
    accepted.resume();
    await once(accepted, "data");
    close();
  }
}

Deno.test("what came before start is told first, and never from within it", async () => {
  const { dialled, accepted, close } = await socketPair();
  const end = socketEnd(accepted, bytes("early "));
  dialled.write("late");
  await settled();
  const told = Recorder.start(end);
  await told.until(() => told.received === 10);
  assert.equal(text(told.bytes), "early late");
  close();
});

Deno.test("paused from the start: nothing is told until resume", async () => {
  const { dialled, accepted, close } = await socketPair();
  const end = socketEnd(accepted);
  end.pause();
  dialled.end("hello");
  const told = Recorder.start(end);
  await settled();
  assert.deepEqual(told.log, []);
  end.resume();
  await told.told("end");
  assert.deepEqual([text(told.bytes), told.log], ["hello", ["data", "end"]]);
  close();
});

Deno.test("half-close, the peer first: what goes out still arrives", async () => {
  const { dialled, accepted } = await socketPair();
  const end = socketEnd(accepted);
  const told = Recorder.start(end);
  dialled.end("question");
  await told.told("end");
  assert.equal(text(told.bytes), "question");
  const answer = drain(dialled);
  await new Promise<void>((taken) => end.write(bytes("answer"), taken));
  end.end();
  assert.deepEqual(await answer, { how: "end", bytes: Buffer.from("answer") });
  end.close();
  assert.deepEqual(told.log, ["data", "end"]);
});

Deno.test("half-close, this side first: what comes in is still told", async () => {
  const { dialled, accepted } = await socketPair();
  const end = socketEnd(accepted);
  const told = Recorder.start(end);
  end.write(bytes("question"), () => {});
  end.end();
  const seen = await drain(dialled);
  assert.deepEqual([seen.how, text(seen.bytes)], ["end", "question"]);
  dialled.end("answer");
  await told.told("end");
  assert.equal(text(told.bytes), "answer");
  end.close();
});

Deno.test("both directions end at once", async () => {
  const { dialled, accepted } = await socketPair();
  const end = socketEnd(accepted);
  const told = Recorder.start(end);
  const seen = drain(dialled);
  dialled.end("a");
  end.write(bytes("b"), () => {});
  end.end();
  assert.equal((await seen).how, "end");
  await told.told("end");
  end.close();
  await settled();
  assert.deepEqual(told.log, ["data", "end"]);
});

Deno.test("a RST of the peer is told as broken, and nothing after it", async () => {
  const { dialled, accepted } = await socketPair();
  const end = socketEnd(accepted);
  const told = Recorder.start(end);
  await settled();
  dialled.resetAndDestroy();
  await told.told("broken");
  assert.equal(end.write(bytes("x"), () => assert.fail("taken by nobody")), true);
  end.end();
  end.resume();
  end.reset();
  end.close();
  await settled();
  assert.deepEqual(told.log, ["broken"]);
});

Deno.test("a RST behind data is never told as an end", async () => {
  for (let round = 0; round < 20; round++) {
    const { dialled, accepted } = await socketPair();
    const end = socketEnd(accepted);
    dialled.write("some bytes");
    if (round % 2 === 0) await settled();
    const told = Recorder.start(end);
    dialled.resetAndDestroy();
    await told.told("broken");
    assert(!told.log.includes("end"), told.log.join());
  }
});

Deno.test("a RST before start is told after it", async () => {
  const { dialled, accepted } = await socketPair();
  const end = socketEnd(accepted);
  dialled.resetAndDestroy();
  await settled();
  const told = Recorder.start(end);
  await told.told("broken");
});

Deno.test("a RST while paused is noticed at the latest on resume", async () => {
  const { dialled, accepted } = await socketPair();
  const end = socketEnd(accepted);
  const told = Recorder.start(end);
  dialled.write("x");
  await told.told("data");
  end.pause();
  dialled.resetAndDestroy();
  await settled();
  end.resume();
  await told.told("broken");
});

Deno.test("a RST while the end is already sent is told as broken", async () => {
  const { dialled, accepted } = await socketPair();
  const end = socketEnd(accepted);
  const told = Recorder.start(end);
  end.end();
  await drain(dialled);
  dialled.resetAndDestroy();
  await told.told("broken");
});

Deno.test("reset reaches the peer as an error, whatever was written or waits", async () => {
  const cases: ((end: ReturnType<typeof socketEnd>) => void)[] = [
    () => {},
    (end) => void end.write(bytes("x"), () => {}),
    (end) => void end.write(new Uint8Array(16 * MiB), () => assert.fail("nobody took that")),
    (end) => {
      end.write(new Uint8Array(16 * MiB), () => assert.fail("nobody took that"));
      end.end();
    },
    (end) => end.pause(),
  ];
  for (const [index, prepare] of cases.entries()) {
    const { dialled, accepted } = await socketPair();
    const end = socketEnd(accepted);
    const told = Recorder.start(end);
    prepare(end);
    await settled();
    end.reset();
    end.reset();
    end.close();
    const { how, bytes } = await drain(dialled);
    assert.equal(how, "reset", `case ${index}, ${bytes.length} bytes`);
    assert.deepEqual(told.log, []);
  }
});

Deno.test("100 MB to a slow reader: bounded memory, every byte, taken in order", async () => {
  const { dialled, accepted, close } = await socketPair();
  const end = socketEnd(accepted);
  const told = Recorder.start(end);
  const chunk = 64 * 1024;
  const count = 1600;
  let written = 0;
  let taken = 0;
  const sent = createHash("sha256");
  const pump = (): void => {
    while (written < count) {
      const index = written++;
      const block = new Uint8Array(chunk).fill(index);
      sent.update(block);
      const more = end.write(block, () => assert.equal(taken++, index));
      if (!more) return;
    }
    end.end();
  };
  const before = process.memoryUsage().rss;
  told.drain = pump;
  pump();
  await settled();
  assert(written < count, "nothing held the writer back");
  assert((written - taken) * chunk <= LOCAL_BUFFER_BYTES + chunk, `${written - taken} blocks wait`);

  const seen = createHash("sha256");
  let got = 0;
  let peak = 0;
  dialled.on("data", (bytes: Uint8Array) => {
    seen.update(bytes);
    const pauses = Math.floor((got += bytes.length) / (10 * MiB)) > Math.floor((got - bytes.length) / (10 * MiB));
    peak = Math.max(peak, (written - taken) * chunk);
    if (!pauses) return;
    dialled.pause();
    setTimeout(() => dialled.resume(), 1);
  });
  dialled.resume();
  await once(dialled, "end");
  assert.equal(got, count * chunk);
  assert.equal(taken, count);
  assert.equal(seen.digest("hex"), sent.digest("hex"));
  assert(peak <= LOCAL_BUFFER_BYTES + chunk, `${peak} bytes waited`);
  const grown = process.memoryUsage().rss - before;
  assert(grown < 80 * MiB, `${Math.round(grown / MiB)} MiB more`);
  close();
});

Deno.test("100 MB into a paused end: the sender is held back, and every byte arrives", async () => {
  const { dialled, accepted, close } = await socketPair();
  const end = socketEnd(accepted);
  const seen = createHash("sha256");
  let got = 0;
  let over = (): void => {};
  const ended = new Promise<void>((resolve) => over = resolve);
  let afterPause = 0;
  let paused = false;
  end.start({
    data(bytes) {
      seen.update(bytes);
      got += bytes.length;
      if (paused) afterPause += bytes.length;
    },
    end: () => over(),
    drain() {},
    broken: () => assert.fail("broken"),
  });
  const sent = createHash("sha256");
  const total = 100 * MiB;
  let written = 0;
  const pump = (): void => {
    while (written < total) {
      const block = new Uint8Array(64 * 1024).fill(written / 65536);
      sent.update(block);
      written += block.length;
      if (!dialled.write(block)) return;
    }
    dialled.end();
  };
  dialled.on("drain", pump);
  pump();
  for (let round = 0; round < 5; round++) {
    paused = true;
    end.pause();
    await settled();
    const held = written;
    await settled();
    assert.equal(written, held, "the sender goes on");
    assert(written - got < 16 * MiB, `${written - got} bytes are on their way`);
    paused = false;
    end.resume();
    await settled();
  }
  await ended;
  assert(afterPause <= 5 * 64 * 1024, `${afterPause} bytes came after pause`);
  assert.equal(got, total);
  assert.equal(seen.digest("hex"), sent.digest("hex"));
  end.end();
  end.close();
  close();
});

Deno.test("a peer that ends without a word gets everything, or sees that it did not", async () => {
  for (const size of [1000, 16 * MiB]) {
    const { dialled, accepted, close } = await socketPair();
    const end = socketEnd(accepted);
    const told = Recorder.start(end);
    dialled.end();
    await told.told("end");
    end.write(new Uint8Array(size), () => {});
    end.end();
    end.close();
    await settled();
    const { how, bytes } = await drain(dialled);
    if (how === "end" || size < MiB) assert.deepEqual([how, bytes.length], ["end", size]);
    else assert.equal(how, "reset");
    close();
  }
});

Deno.test("close after the end waits for a slow reader", async () => {
  const { dialled, accepted } = await socketPair();
  const end = socketEnd(accepted);
  const told = Recorder.start(end);
  dialled.end("request");
  await told.told("end");
  end.write(new Uint8Array(16 * MiB), () => {});
  end.end();
  end.close();
  await settled();
  const { how, bytes } = await drain(dialled);
  assert.deepEqual([how, bytes.length], ["end", 16 * MiB]);
});

Deno.test("closed and reset ends leave no descriptor behind", async () => {
  await settled();
  const before = sockets();
  const pairs = await Promise.all(Array.from({ length: 40 }, socketPair));
  assert(sockets() >= before + 80);
  const closed: Promise<unknown>[] = [];
  for (const [index, { dialled, accepted }] of pairs.entries()) {
    const ends = [socketEnd(dialled), socketEnd(accepted)] as const;
    const told = ends.map((end) => Recorder.start(end));
    closed.push(
      ...[dialled, accepted].map((socket) => new Promise<void>((resolve) => socket.on("close", () => resolve()))),
    );
    if (index % 2 === 0) {
      ends[0].reset();
      void told[1]!.told("broken").then(() => ends[1].close());
      continue;
    }
    for (const end of ends) end.end();
    void Promise.all(told.map((each) => each.told("end"))).then(() => ends.forEach((end) => end.close()));
  }
  await Promise.all(closed);
  assert.equal(sockets(), before);
});

Deno.test("a socket that is closed already is a broken one", async () => {
  const { accepted, close } = await socketPair();
  close();
  await once(accepted, "close");
  const told = Recorder.start(socketEnd(accepted));
  await told.told("broken");
});

/** Sockets of this process. */
function sockets(): number {
  return readdirSync("/proc/self/fd").filter((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;
}
