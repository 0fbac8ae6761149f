/** A form that is sent after the session ended, in the real browser: the page says what to do, and Back keeps the input. */
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestWorld, type World } from '../../test/support/world.ts'
import { axeViolations, chromiumPath, inChromium, launchChromium, newVisitor } from './chromium.ts'

const FORM =
  '<!doctype html><title>Form</title><form method="post" action="/user/save"><textarea name="text"></textarea><button>Save</button></form>'

describe.skipIf(chromiumPath === undefined)(inChromium('a form after the session ended'), () => {
  let world: World
  let browser: Browser
  beforeAll(async () => {
    world = await createTestWorld({
      routes: [
        { from: 'http://app.localhost', prefix: '/form', allow_public_unauthenticated_access: true },
        { from: 'http://app.localhost', prefix: '/user', allow_any_authenticated_user: true },
        {
          from: 'http://app.localhost',
          prefix: '/office',
          policy: [{ allow: { and: [{ accept: true }, { source_ip: '192.0.2.0/24' }] } }],
        },
      ],
      upstream: (_, res) => void res.writeHead(200, { 'content-type': 'text/html' }).end(FORM),
    })
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser.close()
    await world.close()
  })

  /** Addresses have no port: Postern takes the requests as a proxy of the browser. */
  const visitor = () =>
    newVisitor(browser, { proxy: { server: `http://127.0.0.1:${world.port}`, bypass: '<-loopback>' } })

  test('is not lost: the page says so, and Back shows what was typed', async () => {
    const { page, context } = await visitor()
    await page.goto('http://app.localhost/form')
    await page.getByRole('textbox').fill('an hour of work')
    const answered = page.waitForResponse((response) => response.request().method() === 'POST')
    await page.getByRole('button', { name: 'Save' }).click()
    expect((await answered).status()).toBe(401)
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Your session is over')
    expect(await axeViolations(page)).toEqual([])
    const signIn = page.getByRole('link', { name: 'Sign in' })
    expect(await signIn.getAttribute('href')).toBe('http://app.localhost/.postern/sign_in')
    expect(await signIn.getAttribute('target')).toBe('_blank')
    await page.goBack()
    expect(await page.getByRole('textbox').inputValue()).toBe('an hour of work')
    await context.close()
  })

  test.each([
    ['/user/a%2Fb', 400, 'That request did not work'],
    ['/office', 403, 'You cannot open app.localhost/office'],
    ['/nothing', 404, 'There is nothing at this address'],
  ])('%s is a page with status %d', async (path, status, heading) => {
    const { page, context } = await visitor()
    expect((await page.goto(`http://app.localhost${path}`))?.status()).toBe(status)
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe(heading)
    expect(await axeViolations(page)).toEqual([])
    await context.close()
  })
})
