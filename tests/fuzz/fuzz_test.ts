/** Every decoder that strangers' bytes reach. See fuzz.ts for how long, and how to repeat what it finds. */
import { agent } from "./agent.ts";
import { dns } from "./dns.ts";
import { fuzzTests } from "./fuzz.ts";
import { h3 } from "./h3.ts";
import { handshake } from "./handshake.ts";
import { http } from "./http.ts";
import { link } from "./link.ts";
import { linkPeers } from "./link_peers.ts";
import { qmux } from "./qmux.ts";
import { reach } from "./reach.ts";
import { socks } from "./socks.ts";
import { ssh } from "./ssh.ts";
import { ticket } from "./ticket.ts";
import { tun } from "./tun.ts";
import { wire } from "./wire.ts";
import { worker } from "./worker.ts";

fuzzTests([
  ...wire,
  ...h3,
  ...qmux,
  ...http,
  ...ticket,
  ...handshake,
  ...link,
  ...linkPeers,
  ...agent,
  ...reach,
  ...socks,
  ...ssh,
  ...dns,
  ...tun,
  ...worker,
]);
