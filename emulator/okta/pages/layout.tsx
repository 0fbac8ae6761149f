import type { ComponentChildren, VNode } from 'preact'
import { renderToString } from 'preact-render-to-string'

/** A whole page; texts are escaped by construction. */
export function page(title: string, content: VNode): string {
  return `<!doctype html>${renderToString(<Document title={title}>{content}</Document>)}`
}

function Document({ title, children }: { readonly title: string; readonly children: ComponentChildren }): VNode {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{title}</title>
        <style dangerouslySetInnerHTML={{ __html: STYLE }} />
      </head>
      <body>{children}</body>
    </html>
  )
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2433; --soft: #5a6478; --line: #d5dae3; --paper: #fff; --ground: #f3f5f9; --accent: #1f5fd0; --warn: #b3261e; --good: #1c6b3c }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaf1; --soft: #a7b0c2; --line: #3a4356; --paper: #1c2230; --ground: #131824; --accent: #8ab4ff; --warn: #ffb4ab; --good: #8fdcae } }
* { box-sizing: border-box }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground) }
main { max-width: 68rem; margin: 0 auto; padding: 2rem 1rem 4rem }
main.card { max-width: 26rem; margin: 8vh auto; padding: 2rem; background: var(--paper); border: 1px solid var(--line); border-radius: 10px }
h1 { font-size: 1.5rem; margin: 0 0 .5rem } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
p { margin: .5rem 0 } .soft { color: var(--soft) }
table { width: 100%; border-collapse: collapse; background: var(--paper); border: 1px solid var(--line) }
th, td { text-align: left; padding: .5rem .75rem; border-bottom: 1px solid var(--line); vertical-align: top }
th { font-weight: 600; color: var(--soft); font-size: .875rem }
caption { text-align: left; color: var(--soft); padding-bottom: .25rem }
.scroll { overflow-x: auto }
code { font: .875em ui-monospace, monospace }
label { display: block; font-weight: 600; margin-top: 1rem }
input, select, button { font: inherit; color: inherit; padding: .5rem .75rem; border: 1px solid var(--soft); border-radius: 6px; background: var(--paper) }
main.card input { width: 100% }
button { cursor: pointer } button:hover { border-color: var(--accent) }
button.primary { width: 100%; margin-top: 1rem; background: var(--accent); border-color: var(--accent); color: var(--paper); font-weight: 600 }
button.person { display: block; width: 100%; text-align: left; margin-top: .5rem }
form.inline { display: inline-block; margin: 0 .25rem .25rem 0 } form.inline button, form.inline select { padding: .15rem .6rem; font-size: .875rem }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.alert { border-left: 4px solid var(--warn); padding: .5rem .75rem; background: var(--ground) }
.ACTIVE { color: var(--good) } .SUSPENDED, .DEPROVISIONED, .LOCKED_OUT { color: var(--warn) }
meter { width: 8rem; vertical-align: middle }
`
