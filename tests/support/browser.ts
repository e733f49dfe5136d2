/** Headless Chromium for tests, where it is installed. */
import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { PATIENCE_MS } from "./spanway.ts";
import { testUnless } from "./needs.ts";

const CHROMIUM = Deno.env.get("CHROMIUM") ?? "/usr/bin/chromium";

/** A test that needs a browser; skipped with one line where there is none, or for the reason `why`. */
export function browserTest(name: string, fn: (browser: Browser) => Promise<void>, why?: string): void {
  testUnless(why ?? (existsSync(CHROMIUM) ? undefined : `there is no ${CHROMIUM}`), name, async () => {
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
    try {
      await fn(browser);
    } finally {
      await browser.close();
    }
  });
}

/** A page with what it complained about, and the WebSockets that it opened. */
export async function openPage(browser: Browser): Promise<{ page: Page; complaints: string[]; sockets: string[] }> {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const complaints: string[] = [];
  const sockets: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("websocket", (socket) => sockets.push(socket.url()));
  return { page, complaints, sockets };
}
