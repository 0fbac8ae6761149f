/** Serves every state of every page, with the headers that Postern sends. Tests only. */
import { createServer } from 'node:http'
import type { BrowserContext } from 'playwright-core'
import type { PageSettings } from '../../src/config/model.ts'
import { pageReply } from '../../src/pages/render.ts'
import { stylesheetOf } from '../../src/pages/style.ts'
import { LOOKS, NOW } from '../../test/support/page-samples.ts'
import { PAGE_STATES } from '../../test/support/page-states.ts'
import { listenOn, portOf } from '../../test/support/world.ts'

export type Look = keyof typeof LOOKS

export interface PageServer {
  /** Of the state with this place in the list. */
  url(look: Look, index: number): string
  close(): Promise<void>
}

/** `/LOOK/INDEX` is a page, `/LOOK/style.css` what it looks like. */
export async function servePages(): Promise<PageServer> {
  const server = await listenOn(
    createServer((req, res) => {
      const [, look = '', name = ''] = /^\/(\w+)\/([\w.]+)/.exec(req.url ?? '') ?? []
      const settings: PageSettings = Object.hasOwn(LOOKS, look) ? LOOKS[look as Look] : LOOKS.ours
      if (name === 'style.css') {
        res.writeHead(200, { 'content-type': 'text/css' }).end(stylesheetOf(settings).body)
        return
      }
      const found = PAGE_STATES[Number(name)]
      if (!found) {
        res.writeHead(404).end()
        return
      }
      const common = { controlPrefix: `/${look}`, requestId: 'TUR8jphvoGM-2', now: NOW, settings } as const
      const { status, headers, body } = pageReply(common, found.status, found.page, {
        imageOrigins: logosOf(found.page),
      })
      res.writeHead(status, headers.flat()).end(body)
    }),
  )
  return {
    url: (look, index) => `http://127.0.0.1:${portOf(server)}/${look}/${index}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** The portal allows those that it shows. */
function logosOf(page: (typeof PAGE_STATES)[number]['page']): readonly string[] {
  return page.kind === 'portal' ? page.applications.flatMap(({ logoUrl }) => logoUrl ?? []) : []
}

/** Pictures of the operator are made here: nothing is fetched from anywhere else. */
export async function withPictures(context: BrowserContext): Promise<void> {
  await context.route('https://static.corp.example/**', (route) =>
    route.fulfill({
      contentType: 'image/svg+xml',
      // Nothing is no picture, and nothing that the console speaks of.
      body: route.request().url().endsWith('/gone.svg')
        ? ''
        : '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><circle cx="32" cy="32" r="30" fill="#40004f"/><circle cx="32" cy="32" r="14" fill="#ffd400"/></svg>',
    }),
  )
}
