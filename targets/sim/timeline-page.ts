import type { PageRecord } from "./page-record.ts";
import { pageScript, pageStyle } from "./timeline-page-parts.ts";

export interface PageTitle {
  readonly name: string;
  readonly seed: string;
  /** What the run came to, in a line. */
  readonly outcome: string;
  readonly failed: boolean;
}

/**
 * A page about a run, in one file that needs nothing else: a lane for each interface, time downwards, frames as arrows
 * from lane to lane, what lasted as bands. It can be zoomed, searched and filtered.
 */
export function timelinePage(title: PageTitle, record: PageRecord): string {
  // Nothing of it can end the script that it stands in.
  const data = JSON.stringify({ ...record, failed: title.failed }).replaceAll("<", "\\u003c");
  const heading = escaped(`${title.name}, seed ${title.seed}`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${heading}</title>
<style>${pageStyle}</style>
</head>
<body>
<header>
<h1>${heading}</h1>
<p class="${title.failed ? "failed" : "well"}">${escaped(title.outcome)}</p>
<div class="tools">
<input id="search" type="search" placeholder="filter" aria-label="filter">
<span id="kinds"></span>
<label><input type="checkbox" id="odd"> odd ones only</label>
<label><input type="checkbox" id="squeeze"> squeeze pauses</label>
<button id="all">all</button><button id="in">+</button><button id="out">−</button>
<button id="previous">‹ event</button><button id="next">event ›</button>
</div>
</header>
<main>
<div id="view"><canvas id="names"></canvas><canvas id="ladder"></canvas><div id="tip" hidden></div></div>
<aside><ol id="events"></ol></aside>
</main>
<script type="application/json" id="data">${data}</script>
<script>${pageScript}</script>
</body>
</html>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
