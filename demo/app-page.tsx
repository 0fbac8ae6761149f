import type { IncomingMessage } from 'node:http'
import type { JWTPayload } from 'jose'
import type { VNode } from 'preact'
import { renderToString } from 'preact-render-to-string'

/** What became of the assertion that came with the request. */
export type Verified =
  | { readonly kind: 'genuine'; readonly claims: JWTPayload }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'absent' }

export interface AppView {
  readonly title: string
  readonly req: IncomingMessage
  readonly verified: Verified
}

/** The sample application's only page: who is asking, and everything that arrived. */
export function appPage(view: AppView): string {
  return `<!doctype html>${renderToString(<Page {...view} />)}`
}

function Page({ title, req, verified }: AppView): VNode {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`${title} – sample application`}</title>
        <style dangerouslySetInnerHTML={{ __html: STYLE }} />
      </head>
      <body>
        <main>
          <h1>{title}</h1>
          <p class="soft">A sample application behind Postern. It has no sign-in of its own.</p>
          <Identity verified={verified} />
          <h2>What arrived</h2>
          <p>
            <code>
              {req.method} {req.url}
            </code>
          </p>
          <Facts
            caption="Request headers"
            rows={Object.entries(req.headers).map(([name, value]) => [name, String(value)])}
          />
          <h2>Try</h2>
          <ul>
            <li>
              <a href="/sse">An event stream</a> that counts seconds
            </li>
            <li>
              <a href="/headers">The request as JSON</a>
            </li>
            <li>
              a WebSocket at <code>/ws</code> that echoes
            </li>
            <li>
              <a href="/.postern/">Your session at Postern</a>
            </li>
          </ul>
          <form method="post" action="/upload" enctype="multipart/form-data">
            <label for="file">Upload a file; the application counts its bytes</label>
            <input id="file" type="file" name="file" /> <button>Upload</button>
          </form>
        </main>
      </body>
    </html>
  )
}

function Identity({ verified }: { readonly verified: Verified }): VNode {
  if (verified.kind === 'absent') return <p>Nobody is signed in, or this route passes no identity.</p>
  if (verified.kind === 'refused') {
    return <p class="bad">An identity came along, but it is not to be trusted: {verified.why}</p>
  }
  const claims = Object.entries(verified.claims).map(
    ([claim, value]) => [claim, typeof value === 'string' ? value : JSON.stringify(value)] as const,
  )
  const known = new Map(claims)
  return (
    <>
      <p class="who">
        Hello, <strong>{known.get('name') ?? known.get('email') ?? known.get('sub')}</strong>
      </p>
      <p class="good">Verified: the assertion is signed by Postern and meant for this application.</p>
      <Facts caption="Claims of the assertion" rows={claims} />
    </>
  )
}

function Facts({
  caption,
  rows,
}: {
  readonly caption: string
  readonly rows: readonly (readonly [string, string])[]
}): VNode {
  return (
    <div class="scroll">
      <table>
        <caption>{caption}</caption>
        <tbody>
          {rows.map(([name, value]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>
                <code>{value}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #586273; --line: #d8dde6; --ground: #f6f7fa; --paper: #fff; --good: #1a6b3f; --bad: #a8231b; --link: #2454c8 }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ebf3; --soft: #a5afc0; --line: #2c3341; --ground: #0f1218; --paper: #181c25; --good: #7fd7a5; --bad: #ff9d92; --link: #93b4ff } }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere }
main { max-width: 46rem; margin: 2rem auto; padding: 1.5rem 2rem 2rem; background: var(--paper); border: 1px solid var(--line); border-radius: 12px }
h1 { margin: 0 } h2 { margin: 2rem 0 .25rem; font-size: 1.1rem }
.soft, caption, th { color: var(--soft) } .who { font-size: 1.25rem; margin-bottom: .25rem } .good { color: var(--good) } .bad { color: var(--bad) }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100% } caption { text-align: left; font-size: .875rem; padding: .5rem 0 .25rem }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-top: 1px solid var(--line) } th { font-weight: 500; min-width: 9rem }
code { font: .875em ui-monospace, monospace } a { color: var(--link) }
label { display: block; margin-top: 1rem } input, button { font: inherit; margin-top: .25rem }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
`
