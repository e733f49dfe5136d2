import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { browserTest, openPage } from "./support/browser.ts";
import { startRelay, startShare } from "./support/spanway.ts";
import { within } from "./support/visitor.ts";

const MODULES = fileURLToPath(new URL("../node_modules", import.meta.url));

/** A project as `npm create vite` makes it, in small. */
const FILES: Record<string, string> = {
  "package.json": `{ "name": "app", "private": true, "type": "module" }`,
  "index.html":
    `<!doctype html><title>Vite</title><link rel="icon" href="data:,"><h1 id="text">...</h1><p id="echo">...</p>
<script>window.marker = Math.random()</script><script type="module" src="/src/main.js"></script>`,
  "src/main.js": `import { text } from "./text.js";
import "./style.css";
const show = (value) => document.getElementById("text").textContent = value;
show(text);
import.meta.hot.accept("./text.js", (module) => show(module.text));
const socket = new WebSocket(location.origin.replace("http", "ws") + "/echo");
socket.onopen = () => socket.send("hello");
socket.onmessage = ({ data }) => document.getElementById("echo").textContent = "echo: " + data;`,
  "src/text.js": `export const text = "first";`,
  "src/style.css": `h1 { color: rgb(1, 2, 3); }`,
  // The app's own WebSocket, beside the one of Vite.
  "vite.config.js": `import { WebSocketServer } from ${
    JSON.stringify(pathToFileURL(join(MODULES, "ws/wrapper.mjs")).href)
  };
const echo = new WebSocketServer({ noServer: true });
export default { plugins: [{ name: "echo", configureServer: ({ httpServer }) => {
  httpServer.on("upgrade", (req, socket, head) => {
    if (req.url !== "/echo") return;
    echo.handleUpgrade(req, socket, head, (client) => client.on("message", (data) => client.send(String(data))));
  });
} }] };`,
};

/** A real Vite dev server on a small project. */
class ViteProject {
  readonly dir = mkdtempSync(join(tmpdir(), "spanway-vite-"));
  #child: ChildProcess | undefined;

  write(name: string, text: string): void {
    mkdirSync(join(this.dir, name, ".."), { recursive: true });
    writeFileSync(join(this.dir, name), text);
  }

  /** Starts it; the port that it says it listens on. */
  async start(): Promise<number> {
    for (const [name, text] of Object.entries(FILES)) this.write(name, text);
    const child = spawn("node", [join(MODULES, "vite/bin/vite.js"), "--host", "127.0.0.1", "--port", "0"], {
      cwd: this.dir,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    this.#child = child;
    let said = "";
    const port = new Promise<number>((resolve, reject) => {
      const read = (chunk: Uint8Array) => {
        said += String(chunk);
        const match = /http:\/\/127\.0\.0\.1:(\d+)/.exec(said);
        if (match !== null) resolve(Number(match[1]));
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      child.on("exit", () => reject(new Error(`Vite ended: ${said}`)));
    });
    return await within(port, "Vite");
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null) {
      const gone = new Promise((resolve) => child.on("exit", resolve));
      child.kill("SIGKILL");
      await gone;
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

browserTest(
  "a Vite dev server through a share: the page, its modules, edits without a reload, a WebSocket",
  async (browser) => {
    const vite = new ViteProject();
    try {
      const port = await vite.start();
      await using relay = await startRelay();
      await using share = await startShare(port, { relay });
      const { page, complaints, sockets } = await openPage(browser);
      await page.goto(share.url);
      await page.waitForFunction(`document.getElementById("text").textContent === "first"`);
      await page.waitForFunction(`document.getElementById("echo").textContent === "echo: hello"`);
      const color = () => page.evaluate(`getComputedStyle(document.querySelector("h1")).color`);
      assert.equal(await color(), "rgb(1, 2, 3)");
      const marker = await page.evaluate("window.marker");

      vite.write("src/text.js", `export const text = "edited";`);
      await page.waitForFunction(`document.getElementById("text").textContent === "edited"`);
      vite.write("src/style.css", `h1 { color: rgb(4, 5, 6); }`);
      await page.waitForFunction(`getComputedStyle(document.querySelector("h1")).color === "rgb(4, 5, 6)"`);
      assert.equal(await page.evaluate("window.marker"), marker, "the page was reloaded");

      // An edit of the document itself reloads it.
      vite.write("index.html", FILES["index.html"]!.replace("<title>Vite", "<title>Changed"));
      await page.waitForFunction(`document.title === "Changed"`);
      assert.notEqual(await page.evaluate("window.marker"), marker);

      assert.deepEqual(complaints, []);
      // Vite's client would go to the dev server directly if it could not get through.
      assert.ok(sockets.length >= 2);
      for (const url of sockets) assert.equal(new URL(url).host, share.host);
    } finally {
      await vite.stop();
    }
  },
);
