/** A route that takes service tokens asks programs for a password; no browser ever opens its box for one. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Browser } from 'playwright-core'
import { createTestWorld, type World } from '../../test/support/world.ts'
import { chromiumPath, inChromium, launchChromium } from './chromium.ts'
import { freePort } from './demo.ts'

describe.skipIf(chromiumPath === undefined)(inChromium('service tokens and the password box'), () => {
  let world: World
  let browser: Browser
  let app: string
  let other: string
  beforeAll(async () => {
    const port = await freePort()
    app = `http://app.localhost:${port}`
    other = `http://other.localhost:${port}`
    const takes = { allow_any_authenticated_user: true, service_tokens: true, allow_origins: [other] }
    world = await createTestWorld({
      config: { address: `127.0.0.1:${port}`, authenticate_service_url: `http://authenticate.localhost:${port}` },
      routes: [
        { from: app, prefix: '/open', allow_public_unauthenticated_access: true },
        { from: other, allow_public_unauthenticated_access: true },
        { from: app, ...takes },
      ],
      upstream: ({ url }, res) => {
        // An application's own challenge: what the box opens for.
        if (url === '/open/asks') res.writeHead(401, { 'www-authenticate': 'Basic realm="application"' }).end()
        else res.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>page</title>')
      },
    })
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await world?.close()
  })

  /** What Chromium would have opened a password box for, and what it was told in each 401. */
  async function watched(origin: string) {
    const page = await (await browser.newContext()).newPage()
    const asked: string[] = []
    const challenges: string[] = []
    const devtools = await page.context().newCDPSession(page)
    devtools.on('Fetch.requestPaused', ({ requestId }) => void devtools.send('Fetch.continueRequest', { requestId }))
    devtools.on('Fetch.authRequired', ({ requestId, request }) => {
      asked.push(request.url)
      void devtools.send('Fetch.continueWithAuth', { requestId, authChallengeResponse: { response: 'CancelAuth' } })
    })
    await devtools.send('Fetch.enable', { handleAuthRequests: true })
    page.on('response', (response) => {
      if (response.status() === 401) challenges.push(response.headers()['www-authenticate'] ?? '')
    })
    await page.goto(`${origin}/open/page`)
    return { page, asked, challenges }
  }

  test('an application that asks for a password gets the box: this is how it would be seen', async () => {
    const { page, asked } = await watched(app)
    await page.evaluate((url) => fetch(url), '/open/asks')
    expect(asked).toEqual([`${app}/open/asks`])
    await page.context().close()
  })

  test.each(['its own page', 'a page of allow_origins'])(
    'fetches, images, frames and navigations from %s',
    async (from) => {
      const { page, asked, challenges } = await watched(from === 'its own page' ? app : other)
      const seen = await page.evaluate(async (target) => {
        const loads = (element: HTMLImageElement | HTMLIFrameElement | HTMLScriptElement) =>
          new Promise((resolve) => {
            element.onload = element.onerror = () => resolve(undefined)
            element.src = `${target}/${element.tagName}`
            document.body.append(element)
          })
        for (const name of ['img', 'iframe', 'script'] as const) await loads(document.createElement(name))
        const request = new XMLHttpRequest()
        await new Promise((resolve) => {
          request.onloadend = resolve
          request.open('GET', `${target}/xhr`)
          request.withCredentials = true
          request.send()
        })
        const events = new EventSource(`${target}/events`)
        await new Promise((resolve) => (events.onerror = resolve))
        events.close()
        const socket = new WebSocket(`${target.replace('http', 'ws')}/socket`)
        await new Promise((resolve) => (socket.onerror = resolve))
        const answer = await fetch(`${target}/fetch`, { credentials: 'include' })
        return { status: answer.status, challenge: answer.headers.get('www-authenticate') }
      }, app)
      // The script learns how a program would come in.
      expect(seen.status).toBe(401)
      expect(seen.challenge).toMatch(/^Bearer realm="[^"]+", resource_metadata="[^"]+"$/)
      await page.goto(`${app}/navigation`)
      await page.waitForURL((url) => url.origin === world.okta.url)
      expect(challenges.length).toBeGreaterThanOrEqual(3)
      for (const challenge of challenges) expect(challenge).not.toMatch(/basic/i)
      expect(asked).toEqual([])
      await page.context().close()
    },
  )
})
