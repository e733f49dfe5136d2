import assert from "node:assert/strict";
import { LinkError, ServiceError } from "../../../shared/errors.ts";
import {
  SSH_LOGIN_GRACE_MS,
  SSH_LOGIN_SURE_BYTES,
  SSH_LOGINS_PER_DEVICE_MAX,
  SSH_ONCE_LOGIN_MS,
  SSH_ONCE_TRIES_MAX,
  SSH_SESSIONS_MAX,
} from "../../../shared/limits.ts";
import type { LinkOrigin, TcpEnd, TcpListener } from "../../../shared/link/ends.ts";
import { MemoryEnd } from "../../../shared/link/testing/memory_end.ts";
import { randomInt, seededRandom } from "../../../shared/random.ts";
import { LoginGate, type SshSessionEvent } from "./login_gate.ts";

const origin = (device: string, link = device): LinkOrigin => ({ link, device, from: undefined });
const LISTENER: TcpListener = { data() {}, end() {}, drain() {}, broken() {} };

/** A gate with its surroundings in the test's hands. */
class World {
  now = 0;
  timers: { at: number; action: () => void }[] = [];
  events: SshSessionEvent[] = [];
  withdrawn = 0;
  claims: string[] = [];
  /** What the service answers; the first claim wins unless it says otherwise. */
  service: (device: string) => Promise<void> = () =>
    this.claims.length === 1 ? Promise.resolve() : Promise.reject(new ServiceError("ssh-used", "used"));
  server: () => Promise<TcpEnd> = () => Promise.resolve(new MemoryEnd());
  loggedIn: (() => void)[] = [];
  readonly gate: LoginGate;
  #names = 0;

  constructor(once: boolean) {
    this.gate = new LoginGate(once, {
      now: () => this.now,
      later: (ms, action) => void this.timers.push({ at: this.now + ms, action }),
      sessionName: () => `s${++this.#names}`,
      connect: (_signal, loggedIn) => {
        this.loggedIn.push(loggedIn);
        return this.server();
      },
      claim: (device) => {
        this.claims.push(device);
        return this.service(device);
      },
      withdraw: () => void this.withdrawn++,
      tell: (event) => void this.events.push(event),
    });
  }

  pass(ms: number): void {
    this.now += ms;
    const due = this.timers.filter(({ at }) => at <= this.now);
    this.timers = this.timers.filter(({ at }) => at > this.now);
    for (const { action } of due) action();
  }

  async connect(device: string, link = device): Promise<TcpEnd> {
    const end = await this.gate.connect(origin(device, link), new AbortController().signal);
    end.start(LISTENER);
    return end;
  }

  get told(): string[] {
    return this.events.map(({ state, session }) => `${session} ${state}`);
  }
}

const used = { code: "ssh-used" };
const notAllowed = { code: "not-allowed" };

Deno.test("anybody may log in as often as they like, and each login is told with its name, bytes and time", async () => {
  const world = new World(false);
  const one = await world.connect("a");
  const two = await world.connect("b");
  world.gate.login(origin("a"));
  world.gate.login(origin("a"));
  one.write(new Uint8Array(10), () => {});
  world.now = 500;
  one.close();
  two.reset();
  assert.deepEqual(world.told, ["s1 open", "s2 open", "s1 login", "s1 closed", "s2 closed"]);
  const { ms, bytesIn, bytesOut, loggedIn } = world.events[3]!;
  assert.deepEqual([ms, bytesIn, bytesOut, loggedIn], [500, 10, 0, true]);
  assert.equal(world.withdrawn, 0);
  assert.deepEqual(world.gate.sessions, []);
  await world.gate.claim(origin("c"));
  assert.deepEqual(world.claims, []);
});

Deno.test("one login: nobody connects without it, and whoever has it connects once; the key goes with the login", async () => {
  const world = new World(true);
  await assert.rejects(world.connect("a"), notAllowed);
  await world.gate.claim(origin("a"));
  await world.gate.claim(origin("a", "another link of the same device"));
  await assert.rejects(world.gate.claim(origin("b")), used);
  await assert.rejects(world.connect("b"), notAllowed);
  const end = await world.connect("a");
  await assert.rejects(world.connect("a"), notAllowed);
  assert.equal(world.withdrawn, 0);
  world.gate.login(origin("a"));
  assert.equal(world.withdrawn, 1);
  assert.ok(world.gate.used);
  assert.equal(world.gate.sessions.length, 1, "the login itself goes on");
  end.close();
  await assert.rejects(world.connect("a"), notAllowed);
  await assert.rejects(world.gate.claim(origin("a")), used);
  assert.equal(world.withdrawn, 1);
});

Deno.test("one login: of those who claim it at once exactly one gets it, and the others hear that it is used", async () => {
  const world = new World(true);
  const claims = await Promise.allSettled(
    Array.from({ length: 100 }, (_, i) => world.gate.claim(origin(`device ${i}`))),
  );
  assert.equal(claims.filter(({ status }) => status === "fulfilled").length, 1);
  assert.ok(claims.every((each) => each.status === "fulfilled" || each.reason.code === "ssh-used"));
  assert.deepEqual(world.claims, ["device 0"]);
});

Deno.test("one login: a service that cannot be asked costs nothing, one that says it is used ends it", async () => {
  const world = new World(true);
  const answers = [new ServiceError("unavailable", "down"), undefined];
  world.service = () => {
    const error = answers.shift();
    return error === undefined ? Promise.resolve() : Promise.reject(error);
  };
  const [first, second] = await Promise.allSettled([world.gate.claim(origin("a")), world.gate.claim(origin("b"))]);
  assert.equal(first.status === "rejected" && first.reason.code, "unavailable");
  assert.equal(second.status, "fulfilled");
  const other = new World(true);
  other.service = () => Promise.reject(new ServiceError("ssh-used", "by an earlier run"));
  await assert.rejects(other.gate.claim(origin("a")), used);
  assert.equal(other.withdrawn, 1);
});

Deno.test("one login: silence about it is of no use, as long or busy connections count as logins", async () => {
  for (const way of ["long", "busy"]) {
    const world = new World(true);
    await world.gate.claim(origin("a"));
    const end = await world.connect("a");
    if (way === "long") world.pass(SSH_LOGIN_GRACE_MS);
    else end.write(new Uint8Array(SSH_LOGIN_SURE_BYTES + 1), () => {});
    assert.equal(world.withdrawn, way === "long" ? 1 : 0);
    end.close();
    assert.equal(world.withdrawn, 1, way);
  }
});

Deno.test("one login: connections that come to nothing may be repeated, a few times and for a while", async () => {
  const world = new World(true);
  await world.gate.claim(origin("a"));
  world.server = () => Promise.reject(new LinkError("connection-refused", "down"));
  await assert.rejects(world.connect("a"), { code: "connection-refused" });
  world.server = () => Promise.resolve(new MemoryEnd());
  for (let i = 1; i < SSH_ONCE_TRIES_MAX; i++) {
    assert.equal(world.withdrawn, 0);
    (await world.connect("a")).reset();
  }
  assert.equal(world.withdrawn, 1);
  await assert.rejects(world.connect("a"), notAllowed);

  const late = new World(true);
  await late.gate.claim(origin("a"));
  late.pass(SSH_ONCE_LOGIN_MS);
  assert.equal(late.withdrawn, 1);
  await assert.rejects(late.connect("a"), notAllowed);
});

Deno.test("a server that knows of the login says so itself, also before the connection is handed over", async () => {
  const world = new World(true);
  await world.gate.claim(origin("a"));
  await world.connect("a");
  world.loggedIn[0]!();
  assert.deepEqual([world.told, world.withdrawn], [["s1 open", "s1 login"], 1]);
});

Deno.test("the owner ends a login, and hears of it as such; names that are unknown are told", async () => {
  const world = new World(false);
  const far = new MemoryEnd();
  world.server = () => Promise.resolve(far);
  const end = await world.gate.connect(origin("a"), new AbortController().signal);
  let broken = 0;
  end.start({ ...LISTENER, broken: () => void broken++ });
  assert.ok(!world.gate.kick("s2"));
  assert.ok(world.gate.kick("s1"));
  assert.ok(!world.gate.kick("s1"));
  assert.deepEqual([far.state, broken], ["reset", 1]);
  assert.deepEqual(world.events.map(({ state, kicked }) => [state, kicked]), [["open", false], ["closed", true]]);
});

Deno.test("logins are bounded, and over with the share", async () => {
  const world = new World(false);
  for (let i = 0; i < SSH_SESSIONS_MAX; i++) {
    await world.connect("a", `link ${i}`);
    world.gate.login(origin("a", `link ${i}`));
  }
  await assert.rejects(world.connect("b"), { code: "too-many-streams" });
  world.gate.close();
  world.gate.close();
  assert.deepEqual(world.gate.sessions, []);
  assert.equal(world.events.filter(({ state }) => state === "closed").length, SSH_SESSIONS_MAX);
  await assert.rejects(world.connect("a"), { code: "link-closed" });
});

Deno.test("who connects and does not log in keeps nobody out", async () => {
  const world = new World(false);
  for (let i = 0; i < SSH_LOGINS_PER_DEVICE_MAX; i++) await world.connect("one", `link ${i}`);
  await assert.rejects(world.connect("one"), { code: "too-many-streams" });
  for (let device = 0; world.gate.sessions.length < SSH_SESSIONS_MAX; device++) {
    for (let i = 0; i < SSH_LOGINS_PER_DEVICE_MAX; i++) await world.connect(`other ${device}`, `${device} ${i}`);
  }
  await world.connect("colleague");
  world.gate.login(origin("colleague"));
  assert.equal(world.gate.sessions.length, SSH_SESSIONS_MAX);
  assert.equal(
    world.gate.sessions.filter(({ origin }) => origin.device === "one").length,
    SSH_LOGINS_PER_DEVICE_MAX - 1,
  );
  // Whoever is in stays, however many come.
  for (let i = 0; i < 200; i++) await world.connect(`crowd ${i}`);
  assert.ok(world.gate.sessions.some(({ origin }) => origin.device === "colleague"));
});

Deno.test("one login: a connection that goes on past the time and then comes to nothing ends it", async () => {
  const world = new World(true);
  await world.gate.claim(origin("a"));
  world.pass(SSH_ONCE_LOGIN_MS - 1);
  const end = await world.connect("a");
  world.pass(2);
  assert.equal(world.withdrawn, 0);
  end.reset();
  assert.equal(world.withdrawn, 1);
});

/** Everything that can happen, in any order. */
async function simulate(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const oneIn = (n: number) => randomInt(random, n) === 0;
  const world = new World(true);
  // The service takes one claim, whatever becomes of the answer on its way back.
  let taken: string | undefined;
  world.service = async (device) => {
    await Promise.resolve();
    if (oneIn(4)) throw new ServiceError("unavailable", "down");
    if (taken !== undefined) throw new ServiceError("ssh-used", "used");
    taken = device;
  };
  world.server = async () => {
    if (oneIn(5)) throw new LinkError("connection-refused", "down");
    await Promise.resolve();
    return new MemoryEnd();
  };
  const won = new Set<string>();
  const open: TcpEnd[] = [];
  const work: Promise<unknown>[] = [];
  let logins = 0;
  for (let step = 0; step < 60; step++) {
    const device = `device ${randomInt(random, 3)}`;
    switch (randomInt(random, 7)) {
      case 0:
      case 1:
        work.push(world.gate.claim(origin(device)).then(() => won.add(device), () => {}));
        break;
      case 2:
      case 3:
        work.push(
          world.connect(device).then((end) => {
            assert.ok(won.has(device), "connected without the login");
            open.push(end);
          }, () => {}),
        );
        break;
      case 4:
        world.gate.login(origin(device));
        break;
      case 5:
        open.splice(randomInt(random, open.length + 1), 1)[0]?.[oneIn(2) ? "close" : "reset"]();
        break;
      case 6:
        world.pass(randomInt(random, 60_000));
    }
    if (oneIn(2)) await Promise.all(work.splice(0));
    assert.ok(world.gate.sessions.length <= 1, "two at a time");
  }
  await Promise.all(work);
  world.gate.close();
  logins = world.events.filter(({ state }) => state === "login").length;
  assert.ok(won.size <= 1, "two devices have the login");
  assert.ok(logins <= 1, "two logins");
  assert.ok(world.withdrawn <= 1);
  if (logins === 1) assert.equal(world.withdrawn, 1, "the key outlived the login");
  const closed = world.events.filter(({ state }) => state === "closed").length;
  assert.equal(closed, world.events.filter(({ state }) => state === "open").length);
}

Deno.test("one login: in 3,000 lives of a share nobody gets a second one", async () => {
  for (let seed = 1; seed <= 3000; seed++) {
    try {
      await simulate(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
