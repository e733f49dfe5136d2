/** The demo page: one document that loads nothing from anywhere else. */
import { createHash } from "node:crypto";
import { VERSION } from "../../version.ts";

const STYLE = `
:root{color-scheme:light dark;--paper:#fbfaf8;--card:#fff;--ink:#22252b;--soft:#666c78;--line:#e2dfd9;--accent:#b4431f;--on:#fff;--code:#f1eee9}
@media (prefers-color-scheme:dark){:root{--paper:#17191d;--card:#1e2126;--ink:#e7e5e1;--soft:#9aa0ab;--line:#2e323a;--accent:#f0936f;--on:#17191d;--code:#22252b}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:1.0625rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:46rem;margin:0 auto;padding:clamp(2rem,9vh,6rem) 1.5rem 3rem}
.mark{display:flex;align-items:center;gap:.5rem;margin:0 0 1rem;font-weight:600;letter-spacing:.04em;color:var(--accent)}
.dot{width:.6rem;height:.6rem;border-radius:50%;background:currentColor}
.live .dot{animation:pulse 2s infinite}
@keyframes pulse{0%{box-shadow:0 0 0 0 color-mix(in srgb,var(--accent) 55%,transparent)}70%,100%{box-shadow:0 0 0 .6rem transparent}}
h1{margin:0 0 1rem;font-size:clamp(2rem,6.5vw,3.25rem);line-height:1.08;letter-spacing:-.025em;text-wrap:balance}
h2{margin:3rem 0 .75rem;font-size:1.125rem}
p{margin:0 0 1rem;max-width:38rem;text-wrap:pretty}
.lead{font-size:1.1875rem;color:var(--soft)}
svg{display:block;width:100%;height:auto;margin:2rem 0}
svg rect{fill:var(--card);stroke:var(--line);stroke-width:1.5}
svg text{fill:var(--ink);font:600 15px system-ui,sans-serif;text-anchor:middle}
svg .sub{fill:var(--soft);font-weight:400;font-size:12.5px}
svg .way{stroke:var(--line);stroke-width:2;fill:none}
svg .flow{stroke:var(--accent);stroke-width:3;stroke-linecap:round;stroke-dasharray:2 20;fill:none}
.live .flow{animation:flow 1.4s linear infinite}
.live .back{animation-direction:reverse}
@keyframes flow{to{stroke-dashoffset:-44}}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;margin:0;padding:0}
.cards div{padding:.9rem 1.1rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}
dt{font-size:.8125rem;color:var(--soft)}
dd{margin:0;font-size:1.625rem;font-weight:600;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
button{margin-top:1.25rem;padding:.7rem 1.3rem;font:inherit;font-weight:600;color:var(--on);background:var(--accent);border:0;border-radius:.6rem;cursor:pointer}
.soft{margin-left:.75rem;color:var(--soft);font-size:.9375rem;white-space:nowrap}
button:active{transform:translateY(1px)}
button:focus-visible{outline:3px solid color-mix(in srgb,var(--accent) 45%,transparent);outline-offset:2px}
pre{margin:0;padding:1rem 1.2rem;background:var(--code);border-radius:.75rem;overflow-x:auto;line-height:1.7}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre i{font-style:normal;color:var(--soft)}
footer{margin-top:3.5rem;padding-top:1rem;border-top:1px solid var(--line);font-size:.875rem;color:var(--soft)}
.wave{position:fixed;bottom:0;font-size:2rem;pointer-events:none;animation:rise 2.6s ease-out forwards}
@keyframes rise{0%{transform:translateY(0) rotate(-12deg);opacity:0}15%{opacity:1}50%{transform:translateY(-32vh) rotate(14deg)}100%{transform:translateY(-64vh) rotate(-8deg);opacity:0}}
@media (prefers-reduced-motion:reduce){*{animation:none!important}.wave{display:none}}
`;

const SCRIPT = `
const at = (id) => document.getElementById(id);
let waves;
const events = new EventSource("events");
events.onopen = () => document.body.classList.add("live");
events.onerror = () => { document.body.classList.remove("live"); at("state").textContent = "connecting again"; };
events.onmessage = ({ data }) => {
  const news = JSON.parse(data);
  at("state").textContent = "live";
  at("clock").textContent = news.clock;
  at("here").textContent = news.here;
  at("visits").textContent = news.visits;
  at("waves").textContent = news.waves;
  for (let i = Math.min(news.waves - (waves ?? news.waves), 20); i > 0; i--) wave();
  waves = news.waves;
};
const wave = () => {
  const hand = document.createElement("span");
  hand.className = "wave";
  hand.textContent = "\\u{1F44B}";
  hand.style.left = 5 + Math.random() * 85 + "%";
  hand.onanimationend = () => hand.remove();
  document.body.append(hand);
};
at("wave").onclick = () => fetch("wave", { method: "POST" }).catch(() => {});
const echo = () => {
  const socket = new WebSocket(Object.assign(new URL("echo", location), { protocol: location.protocol.replace("http", "ws") }));
  let timer;
  const ping = () => socket.send(String(performance.now()));
  socket.onopen = ping;
  socket.onmessage = ({ data }) => {
    const ms = performance.now() - data;
    at("trip").textContent = (ms < 10 ? ms.toFixed(1) : Math.round(ms)) + " ms";
    timer = setTimeout(ping, 2000);
  };
  socket.onclose = () => { clearTimeout(timer); at("trip").textContent = "\\u2013"; setTimeout(echo, 3000); };
};
echo();
`;

const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Headers of the page. Names are in lower case. */
export const DEMO_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy":
    // Some browsers do not count WebSockets of the same origin as 'self'.
    `default-src 'none'; script-src ${hash(SCRIPT)}; style-src ${hash(STYLE)}; style-src-attr 'unsafe-inline'; ` +
    `connect-src 'self' ws: wss:; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'`,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
};

/** The document. */
export const DEMO_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>It works: spanway demo</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M1 12Q8 1 15 12' fill='none' stroke='%23b4431f' stroke-width='2.5' stroke-linecap='round'/%3E%3C/svg%3E">
<style>${STYLE}</style>
</head>
<body>
<main>
<p class="mark"><span class="dot"></span><span>spanway</span> <span id="state">connecting</span></p>
<h1>This page comes live from somebody&rsquo;s own machine.</h1>
<p class="lead">Nothing was uploaded and no port was opened. A small program there holds one connection to a relay, and the
relay hands it every request that your browser makes.</p>

<svg viewBox="0 0 720 120" role="img" aria-label="Your browser talks to the relay, and the relay to the shared machine">
<path class="way" d="M170 60H275M445 60H550"/>
<path class="flow" d="M172 54H275M447 54H550"/><path class="flow back" d="M172 66H275M447 66H550"/>
<rect x="10" y="20" width="160" height="80" rx="12"/><text x="90" y="57">Your browser</text><text class="sub" x="90" y="78">nothing to install</text>
<rect x="275" y="20" width="170" height="80" rx="12"/><text x="360" y="57">Relay</text><text class="sub" x="360" y="78">knows the name</text>
<rect x="550" y="20" width="160" height="80" rx="12"/><text x="630" y="57">Their machine</text><text class="sub" x="630" y="78">behind any firewall</text>
</svg>

<dl class="cards">
<div><dt>Time over there</dt><dd id="clock">&ndash;</dd></div>
<div><dt>Looking right now</dt><dd id="here">&ndash;</dd></div>
<div><dt>Visits so far</dt><dd id="visits">&ndash;</dd></div>
<div><dt>Round trip</dt><dd id="trip">&ndash;</dd></div>
</dl>
<button id="wave" type="button">Wave to everybody here</button> <span class="soft"><span id="waves">0</span> waves so far</span>

<h2>Now share something of yours</h2>
<pre><code>spanway share 3000      <i># the web server on port 3000</i>
spanway share ./dist    <i># the files in a folder</i>
spanway share --help    <i># names, expiry, HTTPS targets</i></code></pre>
<footer>spanway ${VERSION} &middot; demo page</footer>
</main>
<script>${SCRIPT}</script>
</body>
</html>
`;
