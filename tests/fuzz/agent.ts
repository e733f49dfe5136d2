import assert from "node:assert/strict";
import { formatDuration, parseDuration } from "../../agent/cli/duration.ts";
import { domainName, expiry, hostHeader, listenAddress, regionName, serviceUrl } from "../../agent/cli/parse.ts";
import { forward, shareCode, socksAuth, stdioTarget } from "../../agent/cli/parse_connect.ts";
import { decodePem, encodePem } from "../../agent/home/identity_file.ts";
import { checkEdges } from "../../agent/attach/edge_info.ts";
import { parseTarget } from "../../agent/target/target.ts";
import { randomInt } from "../../shared/random.ts";
import { someValue } from "./cbor_values.ts";
import { type FuzzCase, orRefused, orRefusedLater } from "./fuzz.ts";
import { damagedText, oneIn, pick } from "./inputs.ts";

const VALUES = [
  "1h30m",
  "90s",
  "http://localhost:8080",
  "https://share.example.com/",
  "127.0.0.1:8080",
  "[2001:db8::1]:443",
  ":80",
  "eu-west",
  "keep",
  "app.test:3000",
  "3000",
  "./dist",
];

const RELAY = new URL("https://share.example.com");
const CONNECT_VALUES = [
  "calm-otter-1234",
  "calm-otter-1234#k7qmdaa-3jx2peb-wq5tzcd-efgh2ij",
  "https://calm-otter-1234.share.example.com/",
  "8080:80",
  "[::1]:5433:db.internal:5432",
  "5353:53/udp",
  "0:[2001:db8::1]:22",
  "user:password",
];

const EDGE = {
  id: "e1",
  region: "here",
  url: "https://edge.example.com:8443/.spanway/session",
  ws: "wss://edge.example.com/.spanway/session",
  certHashes: ["00".repeat(32)],
};

export const agent: readonly FuzzCase[] = [
  {
    name: "values on the command line",
    async round(random) {
      const text = damagedText(random, ...VALUES);
      const address = orRefused(() => listenAddress(text));
      if (address !== undefined) assert.ok(address.port >= 0 && address.port <= 65535 && address.host !== "");
      const url = orRefused(() => serviceUrl(text));
      if (url !== undefined) assert.ok(url.pathname === "/" && url.search === "" && url.username === "");
      for (const parse of [expiry, domainName, regionName, hostHeader]) orRefused<unknown>(() => parse(text));
      const target = await orRefusedLater(() => parseTarget(text, "/"));
      if (target?.kind === "server") assert.ok(target.port >= 1 && target.port <= 65535);
      const ms = 1000 * (1 + randomInt(random, 10_000_000));
      assert.equal(parseDuration(formatDuration(ms)), ms);
    },
  },
  {
    name: "what connect is asked for",
    round(random) {
      const text = damagedText(random, ...CONNECT_VALUES);
      const share = orRefused(() => shareCode(text, RELAY));
      if (share !== undefined) assert.match(share.name, /^[a-z0-9-]{4,63}$/);
      const forwarded = orRefused(() => forward(text));
      const target = orRefused(() => stdioTarget(text));
      for (const { port, host } of [...(forwarded ? [forwarded] : []), ...(target ? [target] : [])]) {
        assert.ok(port >= 1 && port <= 65535);
        assert.doesNotMatch(host, /[\0-\x20/@?#\x7f]/);
      }
      if (forwarded !== undefined) assert.ok(forwarded.listen.port >= 0 && forwarded.listen.port <= 65535);
      const auth = orRefused(() => socksAuth(text));
      if (auth !== undefined) assert.equal(`${auth.user}:${auth.password}`, text);
    },
  },
  {
    name: "edges that a relay names",
    async round(random) {
      const change = (value: unknown) => {
        if (!oneIn(random, 6)) return value;
        return typeof value === "string" && oneIn(random, 2) ? damagedText(random, value) : someValue(random, 2);
      };
      const edge = Object.fromEntries(Object.entries(EDGE).map(([name, value]) => [name, change(value)]));
      const resolve = () => Promise.resolve(pick(random, [[], ["192.0.2.1"], ["127.0.0.1"], ["no address"]]));
      const edges = await orRefusedLater(() =>
        checkEdges(change([edge, EDGE]), new URL("https://relay.example"), resolve)
      );
      for (const { url, ws, certHashes } of edges ?? []) {
        assert.equal(new URL(url).protocol, "https:");
        assert.match(new URL(ws).protocol, /^wss?:$/);
        for (const hash of certHashes) assert.equal(hash.length, 64);
      }
    },
  },
  {
    name: "identity files",
    round(random) {
      const secret = random(32);
      assert.deepEqual(decodePem(encodePem(secret)), secret);
      const found = decodePem(damagedText(random, encodePem(secret)));
      if (found !== undefined) assert.equal(found.length, 32);
    },
  },
];
