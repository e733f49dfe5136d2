/**
 * A folder as a web server. `send` hands out the files: it is what Express has served files with for a decade, and does
 * ranges, conditional requests and MIME types. What may be seen at all is decided before it, in `locate.ts`.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { Buffer } from "node:buffer";
import { basename, dirname } from "node:path";
import send from "send";
import { problem } from "../../../shared/problem/problem.ts";
import { INDEX_HEADERS, indexPage } from "./index_page.ts";
import { listFolder } from "./listing.ts";
import { type Bounds, findBounds, locate, type Located } from "./locate.ts";

export interface FolderOptions {
  /** What the shared folder is called on its pages; its own name unless given. */
  readonly title?: string;
  /** Absolute paths inside which nothing is shown, such as the directory of the private key. */
  readonly excluded?: readonly string[];
}

/** The request listener (of node:http) that serves the folder at the absolute path `root`. */
export function createFolderListener(root: string, options: FolderOptions = {}): RequestListener {
  const folder = { root, title: options.title ?? (basename(root) || root), excluded: options.excluded ?? [] };
  return (req, res) => {
    serve(folder, req, res).catch(() => {
      if (res.headersSent) res.destroy();
      else sayProblem(req, res, 500);
    });
  };
}

interface Folder {
  readonly root: string;
  readonly title: string;
  readonly excluded: readonly string[];
}

async function serve(folder: Folder, req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.method !== "GET" && req.method !== "HEAD") {
    res.setHeader("allow", "GET, HEAD");
    return sayProblem(req, res, 405);
  }
  const target = req.url ?? "";
  const bounds = await findBounds(folder.root, folder.excluded).catch(() => undefined);
  if (bounds === undefined) return sayProblem(req, res, 404);
  const located = await locate(bounds, target);
  switch (located.kind) {
    case "bad":
      return sayProblem(req, res, 400);
    case "nothing":
      return sayProblem(req, res, 404);
    case "add-slash":
      return addSlash(target, res);
    case "file":
      return sendFile(req, res, located.path);
    case "folder":
      return await serveFolder(bounds, folder.title, located, req, res);
  }
}

async function serveFolder(
  bounds: Bounds,
  title: string,
  located: Located & { kind: "folder" },
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const indexPath = `/${[...located.segments, "index.html"].map(encodeURIComponent).join("/")}`;
  const index = await locate(bounds, indexPath);
  if (index.kind === "file") return sendFile(req, res, index.path);

  const listing = await listFolder(bounds, located.path);
  const body = indexPage(title, located.segments, listing);
  res.writeHead(200, { ...INDEX_HEADERS, "content-length": Buffer.byteLength(body) });
  res.end(req.method === "HEAD" ? undefined : body);
}

function addSlash(target: string, res: ServerResponse): void {
  const [path = "", query] = target.split("?", 2);
  res.writeHead(308, { location: `${path}/${query === undefined ? "" : `?${query}`}`, "content-length": 0 });
  res.end();
}

function sendFile(req: IncomingMessage, res: ServerResponse, path: string): void {
  // People edit what they share: let browsers ask each time, and answer 304.
  res.setHeader("cache-control", "no-cache");
  res.setHeader("x-content-type-options", "nosniff");
  send(req, `/${encodeURIComponent(basename(path))}`, {
    root: dirname(path),
    index: false,
    dotfiles: "deny",
    cacheControl: false,
  })
    .on("error", (error: { status?: number }) => {
      if (res.headersSent) res.destroy();
      else sayProblem(req, res, error.status ?? 500);
    })
    .on("directory", () => sayProblem(req, res, 404))
    .pipe(res);
}

const TEXTS: Readonly<Record<number, readonly [code: string, title: string, detail: string]>> = {
  400: [
    "bad-request",
    "That request makes no sense",
    "A folder is shared here; its files are asked for by their path.",
  ],
  404: ["not-found", "There is no such file", "Nothing in this folder has that name."],
  405: ["method-not-allowed", "This folder can only be read", "Files here can be looked at, not changed."],
  412: ["precondition-failed", "The file has changed", "It is no longer the one that the request was about."],
  416: ["range-not-satisfiable", "The file is shorter than that", "The part that was asked for lies behind its end."],
};

function sayProblem(req: IncomingMessage, res: ServerResponse, status: number): void {
  const [code, title, detail] = TEXTS[status] ?? ["internal", "The file could not be read", "Something went wrong."];
  const known = status in TEXTS ? status : 500;
  const answer = problem(known, { code, title, detail }, { method: req.method ?? "GET", accept: req.headers.accept });
  res.removeHeader("cache-control");
  res.writeHead(known, { ...answer.headers, "content-length": Buffer.byteLength(answer.body) });
  res.end(answer.body);
}
