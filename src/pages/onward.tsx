/**
 * Pages that go on by themselves: what follows `#` in an address never reaches a server, so that only a script can keep
 * it while its person signs in. It stays in this tab, at this origin (`sessionStorage`), and goes into no address on the
 * way. Without scripts the pages go on all the same, without the fragment.
 */
import type { ComponentChild } from 'preact'
import { renderToString } from 'preact-render-to-string'
import { cspHash } from '../lib/crypto.ts'

/** Times that one tab may begin a sign-in by itself in a minute: more is a loop, and somebody has to click. */
const MAX_BEGINS = 6

/**
 * Keeps the fragment under `data-key`, and goes on to `data-next`. A tab that nobody looks at waits: of twelve that a
 * browser restores one signs in, and the others are loaded again when their turn comes.
 */
const BEGIN = `
const { next, key } = document.currentScript.dataset
const now = performance.timeOrigin
let begins = []
try {
  sessionStorage.setItem(key, location.hash)
  begins = JSON.parse(sessionStorage.getItem('postern-begins') ?? '[]').filter((at) => now - at < 60000)
  sessionStorage.setItem('postern-begins', JSON.stringify([...begins, now]))
} catch {}
if (document.visibilityState === 'hidden') {
  addEventListener('visibilitychange', () => location.reload(), { once: true })
} else if (begins.length < ${MAX_BEGINS}) {
  location.replace(next)
} else {
  addEventListener('DOMContentLoaded', () => (document.querySelector('p').hidden = false))
}
`

/** Goes on to `data-next` with the fragment that was kept for this address. */
const RETURN = `
const next = new URL(document.currentScript.dataset.next)
const key = 'postern' + location.search
next.hash = location.hash
try {
  next.hash = sessionStorage.getItem(key) ?? location.hash
  sessionStorage.removeItem(key)
} catch {}
location.replace(next)
`

/** What the policies of the two pages allow. */
export const BEGIN_HASH = cspHash(BEGIN)
export const RETURN_HASH = cspHash(RETURN)

/** Instead of a redirect to the sign-in. `back`: the address of this host that the sign-in returns to. */
export function beginPage(next: string, back: string): string {
  return BEGIN_PAGE.map((parts) => parts.join(attribute(next))).join(attribute(keyOf(back)))
}

/** At `back`: on to the address that was asked for in the beginning. */
export function returnPage(next: string): string {
  return onward(next, <script data-next={next} {...inline(RETURN)} />)
}

/** Cut where the key belongs, and each piece where the address belongs: whoever is not signed in gets this page. */
const [NEXT, KEY] = ['\ue000', '\ue001']
const BEGIN_PAGE = onward(NEXT, <script data-next={NEXT} data-key={KEY} {...inline(BEGIN)} />)
  .split(KEY)
  .map((part) => part.split(NEXT))

/** As the renderer writes it between double quotes. */
function attribute(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
}

/** Of a URL. */
function keyOf(back: string): string {
  return `postern${back.slice(back.indexOf('?'))}`
}

function inline(script: string) {
  return { dangerouslySetInnerHTML: { __html: script } }
}

function onward(href: string, script: ComponentChild): string {
  return `<!doctype html>${renderToString(
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>Sign in</title>
        <noscript>
          <meta http-equiv="refresh" content={`0; url=${href}`} />
        </noscript>
        {script}
      </head>
      <body>
        <p hidden>
          <a href={href}>Continue</a>
        </p>
      </body>
    </html>,
  )}`
}
