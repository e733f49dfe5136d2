import assert from "node:assert/strict";
import { claimName } from "../names/claim_name.ts";
import { type NameHome, NameRecords } from "../names/name_records.ts";
import { type Outcome, outcome } from "../outcome.ts";
import { ServiceError } from "../../shared/errors.ts";
import { choosePlace, toldPlace } from "./choose_place.ts";
import { namespaceIn, type ObjectNamespace } from "./jurisdiction.ts";
import { dataCentre, locationHint } from "./location_hint.ts";

const ANYWHERE: NameHome = { jurisdiction: undefined };
const EU: NameHome = { jurisdiction: "eu" };

Deno.test("the hint is the region of the agent's country, or of its continent and longitude", () => {
  const cases: readonly (readonly [string, string, string, string | undefined])[] = [
    ["NA", "US", "-104.98470", "wnam"],
    ["NA", "US", "-157.85", "wnam"],
    ["NA", "US", "-96.8", "enam"],
    ["NA", "MX", "-99.1", "enam"],
    ["NA", "US", "-100", "enam"],
    ["SA", "BR", "-46.6", "sam"],
    ["EU", "DE", "8.68", "weur"],
    ["EU", "IS", "-21.9", "weur"],
    ["EU", "PL", "21.0", "eeur"],
    ["EU", "FR", "15", "eeur"],
    ["EU", "RU", "131.9", "apac"],
    ["EU", "RU", "-172.9", "apac"],
    ["AS", "JP", "139.7", "apac"],
    ["AS", "AE", "55.3", "me"],
    ["AS", "TR", "28.9", "eeur"],
    ["AF", "EG", "31.2", "me"],
    ["AF", "ZA", "18.4", "afr"],
    ["OC", "NZ", "174.8", "oc"],
    ["AN", "AQ", "0", undefined],
    ["T1", "T1", "0", undefined],
    ["NA", "US", "west", undefined],
    ["EU", "DE", "181", undefined],
  ];
  for (const [continent, country, longitude, hint] of cases) {
    assert.equal(locationHint({ continent, country, longitude }), hint, `${country} ${longitude}`);
  }
  for (const cf of [undefined, null, "FRA", 5, {}, { clientIp: "127.0.0.1:5" }, { country: "toString" }]) {
    assert.equal(locationHint(cf), undefined);
    assert.equal(dataCentre(cf), undefined);
  }
  assert.equal(dataCentre({ colo: "FRA" }), "FRA");
  for (const colo of ["fra", "FRANKFURT", "\u001b[1", 7]) assert.equal(dataCentre({ colo }), undefined);
});

Deno.test("a place fits what was asked for, and tells what is known", () => {
  const frankfurt = { continent: "EU", country: "DE", longitude: "8.68", colo: "FRA" };
  const dallas = { continent: "NA", country: "US", longitude: "-96.8", colo: "DFW" };
  const near = { near: "FRA", hint: "weur" };
  assert.deepEqual(choosePlace("x", undefined, undefined, frankfurt), { home: ANYWHERE, hint: "weur", near });
  assert.deepEqual(choosePlace("x", "eu", undefined, frankfurt), { home: EU, hint: "weur", near });
  assert.deepEqual(choosePlace("x", "eu", undefined, dallas), { home: EU, hint: undefined, near: undefined });
  assert.deepEqual(choosePlace("x", undefined, undefined, {}), { home: ANYWHERE, hint: undefined, near: undefined });
  assert.deepEqual(choosePlace("x", undefined, EU, {}).home, EU);
  assert.throws(() => choosePlace("x", "eu", ANYWHERE, frankfurt), { code: "name-taken" });
  assert.deepEqual(toldPlace(EU, near), { jurisdiction: "eu", ...near });
  assert.deepEqual(toldPlace(EU, undefined), { jurisdiction: "eu" });
  assert.equal(toldPlace(ANYWHERE, undefined), undefined);
});

/** A namespace in memory; without `parts` it has no jurisdictions, as in plain workerd. */
function namespace(parts: boolean, prefix = ""): ObjectNamespace<string, string> {
  return {
    idFromName: (name) => `${prefix}${name}`,
    get: (id) => id,
    jurisdiction(jurisdiction) {
      if (!parts) throw new Error("whatever it says");
      return namespace(parts, `${jurisdiction}:`);
    },
  };
}

Deno.test("a jurisdiction has objects of its own, or there is none", () => {
  const id = (parts: boolean, home: NameHome) => namespaceIn(namespace(parts), home.jurisdiction).idFromName("x");
  assert.equal(id(true, ANYWHERE), "x");
  assert.equal(id(true, EU), "eu:x");
  assert.equal(id(false, ANYWHERE), "x");
  assert.throws(() => id(false, EU), { code: "bad-request", message: /cannot keep a share in one jurisdiction/ });
});

/** An index in memory. */
function indexOf(disk = new Map<string, unknown>()) {
  const records = new NameRecords({
    get: (name) => disk.get(name),
    put: (name, value) => void disk.set(name, value),
    delete: (name) => disk.delete(name),
  });
  const index = {
    reserve: async (name: string, home: NameHome) => (await Promise.resolve(), records.reserve(name, home)),
    remove: async (name: string) => (await Promise.resolve(), records.remove(name)),
  };
  return { disk, records, index };
}

/** An object that takes its first claim, or none. */
function object(home: NameHome, takes = true) {
  let held = false;
  const claim = (): Outcome<string> =>
    outcome(() => {
      if (!takes) throw new ServiceError("bad-request", "No.");
      held = true;
      return "claimed";
    });
  return { name: "x", home, claim, held: () => held };
}

Deno.test("of two claims at once in two jurisdictions one makes the share, and the index knows which", async () => {
  for (const order of [[ANYWHERE, EU], [EU, ANYWHERE]] as const) {
    const { index, records } = indexOf();
    const objects = order.map((home) => object(home));
    const [first, second] = await Promise.all(objects.map((it) => claimName(index, it)));
    assert.equal(first!.ok, true);
    assert.equal(second!.ok === false && second!.code, "name-taken");
    assert.deepEqual(objects.map(({ held }) => held()), [true, false]);
    assert.deepEqual(records.find("x"), order[0]);
  }
});

Deno.test("a claim that fails leaves no name in the index, unless it was there", async () => {
  const { index, disk } = indexOf();
  assert.equal((await claimName(index, object(EU, false))).ok, false);
  assert.equal(disk.size, 0);
  await assert.rejects(claimName(index, {
    ...object(EU),
    claim: () => {
      throw new Error("fault");
    },
  }));
  assert.equal(disk.size, 0);
  await claimName(index, { ...object(EU, false), held: () => true });
  assert.deepEqual([...disk], [["x", "eu"]]);
});

Deno.test("names that earlier versions wrote are anywhere", () => {
  const { records, disk } = indexOf(new Map<string, unknown>([["old", true], ["odd", "mars"]]));
  assert.deepEqual(records.find("old"), ANYWHERE);
  assert.deepEqual(records.reserve("old", EU), ANYWHERE);
  assert.equal(records.find("odd"), undefined);
  records.remove("old");
  assert.deepEqual(records.reserve("old", EU), EU);
  assert.equal(disk.get("old"), "eu");
});
