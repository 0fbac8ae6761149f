import type { PageSettings } from '../config/model.ts'
import { sha256 } from '../lib/crypto.ts'
import type { Palette } from '../lib/palette.ts'

const body = `:root {
  color-scheme: light dark;
  --page: #f4f6f9; --card: #ffffff; --line: #dfe4ec; --soft: #f3f5f9;
  --text: #1a2130; --muted: #566175; --accent: #2454c8; --accent-hover: #1b429f; --on-accent: #ffffff; --link: #2454c8;
  --stop: #a8231b; --stop-soft: #fdf0ee; --wait: #855000; --wait-soft: #fdf5e4; --good: #1a6b3f; --good-soft: #eaf6ef;
  --shadow: 0 1px 2px rgb(20 30 60 / .05), 0 12px 32px -12px rgb(20 30 60 / .16);
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1218; --card: #181c25; --line: #2c3341; --soft: #1f2430;
    --text: #e7ebf3; --muted: #a5afc0; --accent: #93b4ff; --accent-hover: #b4cbff; --on-accent: #10182b; --link: #93b4ff;
    --stop: #ff9d92; --stop-soft: #341d1d; --wait: #f2c166; --wait-soft: #302613; --good: #7fd7a5; --good-soft: #14291f;
    --shadow: 0 1px 2px rgb(0 0 0 / .4), 0 16px 40px -16px rgb(0 0 0 / .6);
  }
}
*, *::before, *::after { box-sizing: border-box; }
body {
  margin: 0; min-height: 100vh; display: flex; flex-direction: column; align-items: center;
  padding: 2.5rem 1rem 2rem; background: var(--page); color: var(--text);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif;
  -webkit-text-size-adjust: 100%; overflow-wrap: anywhere;
}
header, main, footer { width: 100%; max-width: 40rem; }
header { display: flex; align-items: center; gap: .6rem; margin-bottom: 1.25rem; padding: 0 .25rem; font-weight: 650; letter-spacing: .01em; }
header svg { width: 1.75rem; height: 1.75rem; flex: none; color: var(--accent); }
header path { fill: var(--page); }
header img { height: 1.75rem; max-width: 10rem; object-fit: contain; flex: none; }
main { background: var(--card); border: 1px solid var(--line); border-radius: 1rem; box-shadow: var(--shadow); padding: 2rem; }
footer { margin-top: 1.25rem; padding: 0 .25rem; color: var(--muted); font-size: .8125rem; display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; }
footer code { user-select: all; }
.badge { display: inline-flex; align-items: center; gap: .5rem; margin: 0 0 1rem; padding: .3rem .8rem .3rem .6rem; border-radius: 2rem; font-size: .875rem; font-weight: 600; line-height: 1.4; }
.badge svg { width: 1.125rem; height: 1.125rem; flex: none; }
.stop { color: var(--stop); background: var(--stop-soft); }
.wait { color: var(--wait); background: var(--wait-soft); }
.good { color: var(--good); background: var(--good-soft); }
h1 { margin: 0 0 .5rem; font-size: 1.625rem; line-height: 1.25; font-weight: 680; letter-spacing: -.015em; text-wrap: balance; }
h2, h3 { margin: 0 0 .6rem; font-size: .9375rem; line-height: 1.4; font-weight: 650; }
p { margin: 0 0 .75rem; }
p:last-child { margin-bottom: 0; }
.lead { color: var(--muted); font-size: 1.0625rem; }
.lead strong { color: var(--text); font-weight: 600; }
section { margin-top: 1.5rem; padding-top: 1.5rem; border-top: 1px solid var(--line); }
ul { margin: 0; padding: 0; list-style: none; }
.points { padding-left: 1.15rem; list-style: disc; }
.points li + li { margin-top: .25rem; }
.groups { display: flex; flex-wrap: wrap; gap: .4rem; }
.groups li { max-width: 100%; padding: .15rem .7rem; border: 1px solid var(--line); border-radius: .9rem; background: var(--soft); font-size: .9375rem; }
.groups .wanted { border: 1px dashed var(--muted); background: none; }
.rows li + li { margin-top: .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
.rows .note { margin-top: 0; }
.lines { white-space: pre-wrap; }
strong, .quote, .groups li, .apps span > * { unicode-bidi: plaintext; }
.fields label { display: block; font-size: .9375rem; }
.fields input { width: 100%; }
.fields + * { margin-top: 1.25rem; }
.sessions li { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: space-between; }
.sessions li + li { margin-top: .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
.sessions .note { margin-top: 0; }
.apps a { display: flex; gap: 1rem; align-items: center; padding: .7rem .9rem; border: 1px solid var(--line); border-radius: .7rem; color: inherit; text-decoration: none; }
.apps a:hover { background: var(--soft); }
.apps li + li { margin-top: .6rem; }
.apps img { height: 2.25rem; flex: 0 0 2.25rem; object-fit: contain; }
.apps span { display: grid; min-width: 0; }
.apps span > * { text-align: left; }
.apps small { color: var(--muted); font-size: .875rem; }
.search { display: flex; flex-wrap: wrap; gap: .5rem; }
.search label { flex: 1 0 100%; font-weight: 650; font-size: .9375rem; }
.search input { flex: 1 1 12rem; min-width: 0; }
input { min-height: 2.75rem; padding: .3rem .8rem; border: 1px solid var(--muted); border-radius: .6rem; background: var(--card); color: inherit; font: inherit; }
* + .pair { margin-top: 1.25rem; }
.pair { display: grid; gap: 1.25rem 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 14rem), 1fr)); }
.note { margin: .6rem 0 0; color: var(--muted); font-size: .875rem; }
.quote { margin: 0; padding: .75rem 1rem; border-left: 3px solid var(--line); border-radius: 0 .5rem .5rem 0; background: var(--soft); font-size: .9375rem; }
dl { display: grid; grid-template-columns: minmax(8rem, auto) 1fr; gap: .5rem 1.5rem; margin: 0; }
dt { color: var(--muted); }
dd { margin: 0; min-width: 0; }
dd span { color: var(--muted); font-size: .875rem; }
code { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
summary { cursor: pointer; font-size: .9375rem; font-weight: 650; border-radius: .25rem; }
details[open] summary { margin-bottom: .9rem; }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.75rem; }
.actions form { display: contents; }
.button { display: inline-flex; align-items: center; justify-content: center; min-height: 2.75rem; padding: .5rem 1.15rem; border: 1px solid transparent; border-radius: .6rem; background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; text-decoration: none; text-align: center; cursor: pointer; transition: background-color .12s; }
.button:hover { background: var(--accent-hover); }
.quiet { border-color: var(--line); background: transparent; color: var(--text); }
.quiet:hover { background: var(--soft); }
a { color: var(--link); text-underline-offset: .2em; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
@media (max-width: 32rem) {
  body { padding-top: 1.25rem; }
  main { padding: 1.375rem 1.25rem; border-radius: .8rem; }
  h1 { font-size: 1.4rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd + dt { margin-top: .75rem; }
  .actions .button { width: 100%; }
}
@media (prefers-reduced-motion: reduce) { .button { transition: none; } }
@media (forced-colors: active) { .badge, .groups li { border: 1px solid; } }
@media print { body { background: none; } main { box-shadow: none; } .actions { display: none; } }
`

/** The stylesheet of all pages, in the colours of the operator; `hash` names this version in its address, so that it may be cached for ever. */
export function stylesheetOf({ colors }: Pick<PageSettings, 'colors'>): Stylesheet {
  if (!colors) return OURS
  let found = branded.get(colors)
  if (!found) branded.set(colors, (found = versioned(body + brand(colors))))
  return found
}

interface Stylesheet {
  readonly body: string
  readonly hash: string
}

const OURS = versioned(body)
const branded = new WeakMap<Colors, Stylesheet>()

type Colors = NonNullable<PageSettings['colors']>

function versioned(text: string): Stylesheet {
  return { body: text, hash: sha256(text).slice(0, 12) }
}

/** Later rules win. Colours are `#rrggbb` by type and by the schema: nothing in them ends a rule. */
function brand({ light, dark }: Colors): string {
  const ofLight = light ? `:root { ${variables(light)} }\n` : ''
  return ofLight + (dark ? `@media (prefers-color-scheme: dark) { :root { ${variables(dark)} } }\n` : '')
}

function variables({ accent, accentHover, onAccent, link }: Palette): string {
  return `--accent: ${accent}; --accent-hover: ${accentHover}; --on-accent: ${onAccent}; --link: ${link};`
}
