import { sha256 } from "@noble/hashes/sha2.js";
import { base64 } from "@scure/base";
import { html, raw } from "hono/html";

/**
 * The frame of every page that spanway shows itself: one small HTML document that loads nothing, runs nothing and reads
 * well in light and dark, on a phone and on a wall.
 */

const STYLE = `
:root{color-scheme:light dark;--paper:#fbfaf8;--ink:#22252b;--soft:#666c78;--line:#e2dfd9;--accent:#b4431f;--code:#f1eee9}
@media (prefers-color-scheme:dark){:root{--paper:#17191d;--ink:#e7e5e1;--soft:#9aa0ab;--line:#2e323a;--accent:#f0936f;--code:#22252b}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;flex-direction:column;background:var(--paper);color:var(--ink);
font:1.0625rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main{flex:1;width:100%;max-width:42rem;margin:0 auto;padding:clamp(2.5rem,14vh,9rem) 1.5rem 2rem}
.mark{margin:0 0 .75rem;font-size:.9375rem;font-weight:600;letter-spacing:.04em;color:var(--accent)}
h1{margin:0 0 1rem;font-size:clamp(1.75rem,5vw,2.5rem);line-height:1.15;letter-spacing:-.015em;text-wrap:balance}
h2{margin:2.25rem 0 .5rem;font-size:1.125rem}
p{margin:0 0 .9rem;overflow-wrap:anywhere;text-wrap:pretty}
.soft{color:var(--soft)}
pre{margin:.5rem 0 1rem;padding:.85rem 1rem;background:var(--code);border-radius:.5rem;overflow-x:auto;line-height:1.5}
code{font:.9em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
footer{width:100%;max-width:42rem;margin:0 auto;padding:1rem 1.5rem 2rem;font-size:.875rem;color:var(--soft)}
footer div{border-top:1px solid var(--line);padding-top:1rem;display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;justify-content:space-between}
`;

/** Loads nothing, runs nothing, sends nothing: the one style element is allowed by its hash. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${base64.encode(sha256(new TextEncoder().encode(STYLE)))}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
].join("; ");

/** Headers of every page made by {@link page}. Names are in lower case. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "x-robots-tag": "noindex, nofollow",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
};

/** What `html` of hono makes: text that is already escaped. */
export type Markup = ReturnType<typeof html>;

/** The parts of one page. Plain strings are escaped; `content` is made with `html` of hono, without promises in it. */
export interface PageParts {
  readonly title: string;
  /** The line above the title: small, in the colour of the house. */
  readonly mark: string;
  readonly content: Markup;
  /** The small print at the bottom left; "spanway" stands at the right. */
  readonly small: string;
  /** Seconds after which the browser loads the page again by itself. */
  readonly refreshSeconds?: number;
}

/** The whole document. */
export function page(parts: PageParts): string {
  const refresh = parts.refreshSeconds === undefined
    ? ""
    : html`<meta http-equiv="refresh" content="${parts.refreshSeconds}">`;
  return String(html`
    <!doctype html>
    <html lang="en">
      <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="robots" content="noindex, nofollow">
    ${refresh}
    <title>${parts.title}</title>
    <style>${raw(STYLE)}</style>
      </head>
      <body>
        <main>
    <p class="mark">${parts.mark}</p>
    <h1>${parts.title}</h1>
    ${parts.content}
        </main>
        <footer>
          <div><span>${parts.small}</span><span>spanway</span></div>
        </footer>
      </body>
    </html>
  `);
}
