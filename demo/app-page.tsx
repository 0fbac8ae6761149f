import type { IncomingMessage } from 'node:http'
import type { JWTPayload } from 'jose'
import type { ComponentChildren, VNode } from 'preact'
import { renderToString } from 'preact-render-to-string'
import { ICON, SCRIPT, STYLE } from './app-assets.ts'

/** Result of verifying the assertion of the request. */
export type Verified =
  | { readonly kind: 'genuine'; readonly claims: JWTPayload }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'absent' }

export interface AppView {
  readonly title: string
  readonly req: IncomingMessage
  readonly verified: Verified
}

type Rows = readonly (readonly [name: string, value: string])[]

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
        <link rel="icon" href={ICON} />
        <style dangerouslySetInnerHTML={{ __html: STYLE }} />
      </head>
      <body>
        <main>
          <header>
            <p class="soft">A sample application behind Postern, without a sign-in of its own</p>
            <h1>{title}</h1>
          </header>
          <section>
            <Identity verified={verified} />
          </section>
          <section>
            <h2>Try</h2>
            <form id="echo" class="line">
              <label for="words">
                A WebSocket that echoes <output id="state">needs JavaScript</output>
              </label>
              <input id="words" name="words" value="Hello through Postern" autocomplete="off" />
              <button disabled>Send</button>
              <output id="heard" for="words" />
            </form>
            <form class="line" method="post" action="/upload" enctype="multipart/form-data">
              <label for="file">Upload a file to count its bytes</label>
              <input id="file" type="file" name="file" />
              <button>Upload</button>
            </form>
            <p class="links">
              <a href="/sse">An event stream</a>
              <a href="/headers">This request as JSON</a>
              <a href="/.postern/">Your applications</a>
              <a href="/.postern/account">Your account</a>
              <a href="/.postern/sign_out">Sign out</a>
            </p>
          </section>
          <section>
            <h2>What arrived</h2>
            <p>
              <code>
                {req.method} {req.url}
              </code>
            </p>
            <Facts rows={Object.entries(req.headers).map(([name, value]) => [name, String(value)])} />
          </section>
        </main>
        <script dangerouslySetInnerHTML={{ __html: SCRIPT }} />
      </body>
    </html>
  )
}

function Identity({ verified }: { readonly verified: Verified }): VNode {
  if (verified.kind === 'absent')
    return <Who name="stranger">Nobody is signed in, or this route passes no identity.</Who>
  if (verified.kind === 'refused') {
    return (
      <Who name="stranger">
        <strong class="bad">An identity came along, but it is not to be trusted: {verified.why}</strong>
      </Who>
    )
  }
  const { claims } = verified
  const named = [claims['name'], claims['email'], claims.sub].find((claim) => typeof claim === 'string')
  return (
    <>
      <Who name={named ?? 'you'}>
        <strong class="good">Verified.</strong> Postern signed this identity, and meant it for this application.
      </Who>
      <Facts rows={Object.entries(claims).map(([claim, value]) => [claim, textOf(value)])} />
    </>
  )
}

function Who({ name, children }: { readonly name: string; readonly children: ComponentChildren }): VNode {
  return (
    <>
      <h2 class="who">Hello, {name}</h2>
      <p>{children}</p>
    </>
  )
}

function Facts({ rows }: { readonly rows: Rows }): VNode {
  return (
    <dl>
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <code>{value}</code>
          </dd>
        </div>
      ))}
    </dl>
  )
}

function textOf(claim: unknown): string {
  if (Array.isArray(claim)) return claim.join(', ')
  return typeof claim === 'string' ? claim : JSON.stringify(claim)
}
