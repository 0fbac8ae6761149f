import type { ComponentChildren } from 'preact'
import { renderToString } from 'preact-render-to-string'
import type { PageSettings } from '../config/model.ts'
import type { ErrorCode } from '../errors.ts'
import type { WallTime } from '../types.ts'
import { stylesheetOf } from './style.ts'
import { epochMillis } from '../lib/time.ts'

/** What every page needs. Times are shown in UTC and as ages. */
export interface PageModel {
  /** `/.postern`; the stylesheet, the sign-out form and the account page live below it. */
  readonly controlPrefix: string
  /** Shown, so that a person can quote it and an operator can find the log line. */
  readonly requestId: string
  readonly now: WallTime
  /** What the operator wants our pages to say and look like. */
  readonly settings: PageSettings
}

/** `stop`: refused. `wait`: may work later, or needs a step. `good`: as it should be. Never told by colour alone. */
export type Tone = 'stop' | 'wait' | 'good'

export interface PageFrame {
  /** Title of the window; the product's name is added. */
  readonly title: string
  readonly tone: Tone
  /** Two or three words above the heading. */
  readonly badge: string
  readonly heading: string
  /** Something does not work: what it is, for whoever looks into it. */
  readonly code?: ErrorCode
  readonly children: ComponentChildren
}

const DOOR = 'M7.5 25V14.5a8.5 8.5 0 0 1 17 0V25h-5V14.5a3.5 3.5 0 0 0-7 0V25z'
const ICON = `data:image/svg+xml,${encodeURIComponent(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#2454c8"/><path fill="#fff" d="${DOOR}"/></svg>`,
)}`

const TONE_ICONS: Readonly<Record<Tone, string>> = {
  stop: 'M6.3 6.3l11.4 11.4',
  wait: 'M12 7v5l3.2 2',
  good: 'M8 12.3l2.8 2.8L16 9.6',
}

/** A whole HTML document. All text is escaped by the renderer; there is no way to pass markup in. */
export function renderPage(model: PageModel, frame: PageFrame): string {
  const { settings } = model
  const { productName, firstParagraph } = settings
  return `<!doctype html>${renderToString(
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>{`${frame.title} · ${productName}`}</title>
        <link rel="icon" href={settings.faviconUrl ?? ICON} />
        <link rel="stylesheet" href={`${model.controlPrefix}/style.css?v=${stylesheetOf(settings).hash}`} />
      </head>
      <body>
        <header>
          <Mark logoUrl={settings.logoUrl} />
          {productName}
        </header>
        <main>
          <p class={`badge ${frame.tone}`}>
            <svg
              viewBox="0 0 24 24"
              fill="none"
              stroke="currentColor"
              stroke-width="2"
              stroke-linecap="round"
              aria-hidden="true"
            >
              <circle cx="12" cy="12" r="9" />
              <path d={TONE_ICONS[frame.tone]} />
            </svg>
            {frame.badge}
          </p>
          <h1>{frame.heading}</h1>
          {frame.code !== undefined && firstParagraph !== undefined && <p class="lead">{firstParagraph}</p>}
          {frame.children}
          {frame.code !== undefined && <Help settings={settings} code={frame.code} requestId={model.requestId} />}
        </main>
        <footer>
          {frame.code !== undefined && <Code settings={settings} code={frame.code} />}
          <span>
            Request <code>{model.requestId}</code>
          </span>
          <Time at={model.now} />
        </footer>
      </body>
    </html>,
  )}`
}

/** The name stands beside it. */
function Mark({ logoUrl }: { readonly logoUrl: string | undefined }) {
  if (logoUrl !== undefined) return <img src={logoUrl} alt="" />
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="currentColor" />
      <path d={DOOR} />
    </svg>
  )
}

interface Trouble {
  readonly settings: PageSettings
  readonly code: ErrorCode
}

/** Where it is explained, when that is published anywhere. */
function Code({ settings: { troubleshootingUrl }, code }: Trouble) {
  const text = <code>{code}</code>
  return (
    <span>
      Code {troubleshootingUrl === undefined ? text : <a href={sectionUrl(troubleshootingUrl, code)}>{text}</a>}
    </span>
  )
}

/** Whom to tell; a mail has code and request number in its subject. */
function Help({ settings: { supportUrl }, code, requestId }: Trouble & { readonly requestId: string }) {
  if (supportUrl === undefined) return null
  const { protocol, host, pathname, search } = new URL(supportUrl)
  const isMail = protocol === 'mailto:'
  const subject = isMail && search === '' ? `?subject=${encodeURIComponent(`${code}, request ${requestId}`)}` : ''
  return (
    <p class="note">
      Get help: <a href={supportUrl + subject}>{isMail ? pathname : host + pathname.replace(/\/$/, '')}</a>
    </p>
  )
}

function sectionUrl(troubleshootingUrl: string, code: ErrorCode): string {
  const url = new URL(troubleshootingUrl)
  url.hash = code.toLowerCase()
  return url.href
}

/** `Sat, 21 Nov 2026 02:17:05 UTC`. */
export function Time({ at }: { readonly at: WallTime }) {
  const date = new Date(epochMillis(at))
  return <time dateTime={date.toISOString()}>{date.toUTCString().replace('GMT', 'UTC')}</time>
}
