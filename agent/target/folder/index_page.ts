/** The page that shows a folder without an index.html of its own. */
import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { Entry, Listing } from "./listing.ts";

const STYLE = `
:root{color-scheme:light dark;--paper:#fbfaf8;--ink:#22252b;--soft:#666c78;--line:#e2dfd9;--accent:#b4431f;--hover:#f1eee9}
@media (prefers-color-scheme:dark){:root{--paper:#17191d;--ink:#e7e5e1;--soft:#9aa0ab;--line:#2e323a;--accent:#f0936f;--hover:#22252b}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:60rem;margin:0 auto;padding:clamp(1.5rem,6vh,4rem) 1.25rem 3rem}
h1{margin:0 0 1.5rem;font-size:1.375rem;font-weight:600;overflow-wrap:anywhere}
h1 span{color:var(--soft);font-weight:400;padding:0 .3em}
a{color:inherit;text-decoration:none}a:hover,a:focus-visible{color:var(--accent);text-decoration:underline}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
th{text-align:left;font-size:.8125rem;font-weight:500;color:var(--soft)}
th,td{padding:.4rem .75rem;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{width:100%;padding-left:.25rem;overflow-wrap:anywhere}
td:first-child a{display:block}
.size,.date{white-space:nowrap;color:var(--soft)}.size{text-align:right}
tbody tr:hover{background:var(--hover)}
.soft{color:var(--soft);font-size:.875rem;margin-top:1.5rem}
@media (max-width:36rem){.date{display:none}}
`;

/** Headers of the page: it loads and runs nothing. Names are in lower case. */
export const INDEX_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": `default-src 'none'; style-src 'sha256-${
    createHash("sha256").update(STYLE).digest("base64")
  }'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'`,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
};

/**
 * The document for a folder.
 * @param title what the shared folder itself is called
 * @param segments names from the shared folder down to this one
 */
export function indexPage(title: string, segments: readonly string[], listing: Listing): string {
  const here = segments.at(-1) ?? title;
  const up = segments.length === 0 ? "" : html`
    <tr>
      <td><a href="../">..</a></td>
      <td class="size"></td>
      <td class="date"></td>
    </tr>
  `;
  return String(html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>${here}</title>
        <style>${raw(STYLE)}</style>
      </head>
      <body>
        <main>
    <h1>${breadcrumbs(title, segments)}</h1>
    <table>
    <thead><tr><th scope="col">Name</th><th scope="col" class="size">Size</th><th scope="col" class="date">Changed</th></tr></thead>
    <tbody>
    ${up}${listing.entries.map(row)}
    </tbody>
    </table>
    ${listing.entries.length === 0 ? html`<p class="soft">This folder is empty.</p>` : ""}
    ${listing.omitted > 0 ? html`<p class="soft">${listing.omitted} more are not shown.</p>` : ""}
        </main>
      </body>
    </html>
  `);
}

function breadcrumbs(title: string, segments: readonly string[]) {
  return [title, ...segments].map((name, index) => {
    const steps = segments.length - index;
    return steps === 0 ? html`${name}` : html`<a href="${"../".repeat(steps)}">${name}</a><span>/</span>`;
  });
}

function row(entry: Entry) {
  const slash = entry.folder ? "/" : "";
  // The "./" keeps a name with a colon from being read as a scheme.
  return html`
    <tr>
      <td><a href="./${encodeURIComponent(entry.name)}${slash}">${entry.name}${slash}</a></td>
      <td class="size">${entry.folder ? "" : formatSize(entry.size)}</td>
      <td class="date">${formatDate(entry.modified)}</td>
    </tr>
  `;
}

/** `640 B`, `12.3 kB`, `1.2 GB`: decimal units. */
export function formatSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** UTC, to the minute: visitors may sit anywhere. */
function formatDate(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
