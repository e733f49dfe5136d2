import { html } from "hono/html";
import { page, PAGE_HEADERS } from "../../shared/problem/page.ts";
import { shareUrl } from "../host.ts";
import type { Settings } from "../settings.ts";
import { VERSION } from "../version.ts";

/** The page at the bare domain: what this is, and how to share something through it. `origin` is the service's. */
export function landing(origin: string, settings: Settings): Response {
  const commands = `spanway share 3000 --relay ${origin}`;
  const example = shareUrl("frosty-weasel-0857", origin, settings);
  const body = page({
    mark: "spanway",
    title: "Share what runs on your machine",
    content: html`
      <p>This is a share service. It gives a web app on somebody's own computer a public address, for as long as its
      owner wants, through whatever NAT or firewall lies between.</p>
      <h2>Share something</h2>
      <p>With spanway on your machine (it needs Node 20 or newer), and your app on port 3000:</p>
      <pre><code>${commands}</code></pre>
      <p>It prints an address such as <code>${example}</code>. Whoever has it sees your app live, until you press
      Ctrl-C.</p>
      <h2>You were given an address?</h2>
      <p class="soft">Open it as it is. If it leads nowhere, its owner is not sharing right now.</p>
    `,
    small: `version ${VERSION}`,
  });
  return new Response(body, { headers: PAGE_HEADERS });
}
