/** Style of the emulator's pages, which must not look like Postern's. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #221c35; --soft: #5f5874; --line: #ddd8e8; --paper: #fff; --ground: #f6f4fa; --accent: #5a3fc0; --accent-soft: #efebfb; --on-accent: #fff; --warn: #a3271d; --warn-soft: #fdf0ee; --good: #1c6b3c; --good-soft: #e8f5ec }
@media (prefers-color-scheme: dark) { :root { --ink: #ebe8f4; --soft: #aea7c2; --line: #383050; --paper: #1d182b; --ground: #141020; --accent: #b9a6ff; --accent-soft: #2d2549; --on-accent: #1a1330; --warn: #ffb0a6; --warn-soft: #3a1e1f; --good: #8fdcae; --good-soft: #16301f } }
*, *::before, *::after { box-sizing: border-box }
body { margin: 0; font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif; color: var(--ink); background: var(--ground); overflow-wrap: anywhere; -webkit-text-size-adjust: 100% }
h1, h2, h3, p, ul, ol { margin: 0; padding: 0 } ul, ol { list-style: none }
h1 { font-size: 1.5rem; line-height: 1.25; letter-spacing: -.01em } h2 { font-size: 1.125rem; line-height: 1.35 } h3 { font-size: 1rem; line-height: 1.4 }
.soft { color: var(--soft) } .small { font-size: .875rem }
code { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace }
a { color: var(--accent); text-underline-offset: .2em }
.mark { flex: none; color: var(--accent) }
button, input { font: inherit; color: inherit }
button { display: inline-flex; align-items: center; justify-content: center; gap: .4rem; min-height: 2.25rem; padding: .3rem .8rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--paper); cursor: pointer; text-align: center; font-size: .9375rem }
button:hover { border-color: var(--accent); background: var(--accent-soft) }
button.primary { border-color: var(--accent); background: var(--accent); color: var(--on-accent); font-weight: 600 }
button.primary:hover { filter: brightness(1.08) }
input { width: 100%; min-height: 2.75rem; padding: .4rem .75rem; border: 1px solid var(--soft); border-radius: .5rem; background: var(--paper) }
label { display: block; margin-bottom: .35rem; font-weight: 600; font-size: .9375rem }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
.pill { display: inline-block; padding: .1rem .65rem; border-radius: 1rem; background: var(--warn-soft); color: var(--warn); font-size: .8125rem; font-weight: 600 }
.pill.ACTIVE { background: var(--good-soft); color: var(--good) }

main.card { width: calc(100% - 2rem); max-width: 26rem; margin: clamp(1rem, 7vh, 5rem) auto 2rem; padding: 2rem; background: var(--paper); border: 1px solid var(--line); border-radius: 1rem; box-shadow: 0 14px 36px -18px rgb(40 20 90 / .3) }
.card .top { text-align: center; padding-bottom: 1.25rem; margin-bottom: 1.25rem; border-bottom: 1px solid var(--line) } .card .top .mark { margin: 0 auto .75rem; display: block }
.card .field { margin-bottom: 1rem }
.card button { width: 100%; min-height: 2.75rem }
.card h2 { margin: 1.75rem 0 .25rem } .card h2 + p { margin-bottom: .75rem }
.card button.person { justify-content: space-between; text-align: left; margin-top: .5rem; padding: .45rem .9rem; flex-wrap: wrap; gap: 0 1rem }
.card button.person strong { font-weight: 600 }
.card form.cancel { margin-top: 1.75rem }
.alert { margin-bottom: 1.25rem; padding: .75rem 1rem; border-left: 4px solid var(--warn); border-radius: 0 .5rem .5rem 0; background: var(--warn-soft) }
footer { max-width: 26rem; margin: 0 auto 2rem; padding: 0 1rem; text-align: center; font-size: .875rem; color: var(--soft) }

main.console { max-width: 66rem; margin: 0 auto; padding: 1.75rem 1rem 4rem }
.console > header { display: flex; flex-wrap: wrap; align-items: center; gap: 1rem } .console > header > div:not(.status) { flex: 1 1 18rem }
.console section { margin-top: 1.75rem; padding: 1.25rem 1.5rem; background: var(--paper); border: 1px solid var(--line); border-radius: .9rem }
section > h2 + p { margin-top: .15rem }
.rows { margin-top: .9rem } .rows > li { display: grid; grid-template-columns: 14rem 21rem 1fr; gap: .75rem 1.5rem; align-items: start; padding: .9rem 0; border-top: 1px solid var(--line) }
.chips { display: flex; flex-wrap: wrap; gap: .4rem; align-items: center }
.chips button { border-radius: 1.2rem; min-height: 2rem; padding: .1rem .75rem; font-size: .875rem }
.chips .on { background: var(--accent-soft); border-color: var(--accent); color: var(--ink); font-weight: 600 } .chips .off { border-style: dashed; border-color: var(--soft); color: var(--soft) }
.chips .fixed { padding: .2rem .75rem; border-radius: 1.2rem; font-size: .875rem; color: var(--soft); background: var(--ground) }
.status { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center } .status button { min-height: 2rem; padding: .1rem .7rem; font-size: .875rem }
.adding { display: grid; gap: 1rem 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr)); padding-top: 1.1rem; border-top: 1px solid var(--line) }
.adding div { display: flex; gap: .5rem } .adding input { flex: 1; min-width: 0 } .adding button { min-height: 2.75rem }
.adding + button { margin: 1rem 0 1.25rem } h2 + form > .adding { margin-top: .75rem }
table { width: 100%; margin-top: .75rem; border-collapse: collapse; font-size: .9375rem }
th, td { padding: .45rem 1rem .45rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; font-weight: 400 } td:last-child, th:last-child { padding-right: 0 }
thead th { border: 0; color: var(--soft); font-size: .8125rem; font-weight: 600 }
td:last-child { font-variant-numeric: tabular-nums }
.calls { margin-top: .75rem; font-size: .9375rem } .calls li { display: grid; grid-template-columns: 5rem 1fr 3rem 13rem; gap: 0 1rem; padding: .4rem 0; border-top: 1px solid var(--line) }
.calls span { font-variant-numeric: tabular-nums }
meter { width: 7rem; max-width: 100%; height: .9rem; vertical-align: -.1rem }
@media (max-width: 46rem) {
  .rows > li { grid-template-columns: 1fr } .calls li { grid-template-columns: 1fr auto } .calls code { grid-row: 2; grid-column: 1 / -1 }
  meter { display: block; margin-bottom: .2rem } th { min-width: 8rem }
  .wide { display: none }
  .console section { padding: 1.1rem 1rem } main.card { padding: 1.5rem 1.25rem }
}
@media (forced-colors: active) { .pill, .chips .fixed { border: 1px solid } }
`
