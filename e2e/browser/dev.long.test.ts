/** `postern dev`: one's own application behind Postern, in the real browser. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cli } from '../../test/support/cli.ts'
import { type Dev, mirror, startDev } from '../../test/support/dev.ts'
import { createEcho, type EchoUpstream } from '../../test/support/echo.ts'
import { axeViolations, chromiumPath, inChromium, launchChromium, newVisitor, widerThanTheScreen } from './chromium.ts'

interface Seen {
  readonly headers: Readonly<Record<string, string>>
}

describe.skipIf(chromiumPath === undefined)(inChromium('postern dev'), () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-dev-'))
  let echo: EchoUpstream
  let dev: Dev
  let browser: Browser
  beforeAll(async () => {
    echo = await createEcho(mirror)
    dev = await startDev(echo.url, ['--as', 'alice@corp.example', '--groups', 'Engineering,On Call'], folder)
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await dev?.stop()
    await echo?.close()
    rmSync(folder, { recursive: true })
  })

  const visit = async (): Promise<Page> => (await newVisitor(browser)).page
  const seen = async (page: Page): Promise<Seen> => JSON.parse(await page.locator('body').innerText()) as Seen
  const email = async (page: Page): Promise<string | undefined> => (await seen(page)).headers['x-postern-claim-email']
  const groups = async (page: Page): Promise<readonly string[]> =>
    ((await seen(page)).headers['x-postern-claim-groups'] ?? '').split(',').filter((name) => !name.startsWith('00g'))

  async function become(page: Page, name: string): Promise<void> {
    await page.goto(dev.people)
    await page.getByRole('button', { name: `Become ${name}`, exact: true }).click()
    await page.waitForURL(`${dev.app}/`)
  }

  test('the application sees who was named, who is asked nothing; the assertion can be verified', async () => {
    const page = await visit()
    await page.goto(`${dev.app}/deep/page?q=1`)
    expect(page.url()).toBe(`${dev.app}/deep/page?q=1`)
    expect(await email(page)).toBe('alice@corp.example')
    expect(await groups(page)).toEqual(['Everyone', 'Engineering', 'On Call'])
    const assertion = (await seen(page)).headers['x-postern-jwt-assertion'] ?? ''
    const keys = await page.evaluate(async () => (await fetch('/.well-known/postern/jwks.json')).json())
    const { payload } = await jwtVerify(assertion, createLocalJWKSet(keys as JSONWebKeySet), {
      audience: 'app.localhost',
    })
    expect(payload['email']).toBe('alice@corp.example')
  })

  test('one click makes somebody else of a browser; others stay who they are', async () => {
    const [mine, other] = [await visit(), await visit()]
    await other.goto(`${dev.app}/`)
    await mine.goto(`${dev.app}/`)
    await become(mine, 'Bob')
    expect([await email(mine), await groups(mine)]).toEqual(['bob@corp.example', ['Everyone', 'Sales']])
    await other.reload()
    expect(await email(other)).toBe('alice@corp.example')
    await become(mine, 'Erin')
    expect(await email(mine)).toBe('erin@corp.example')
    await become(mine, 'Alice')
    expect(await email(mine)).toBe('alice@corp.example')
  })

  test('a person and groups of one moment; groups change without a sign-in', async () => {
    const page = await visit()
    await page.goto(dev.people)
    await page.getByLabel('E-mail address').fill('zoe@partner.example')
    await page.getByLabel('Groups, with commas').fill('Auditors, Sales')
    await page.getByRole('button', { name: 'Become this person' }).click()
    await page.waitForURL(`${dev.app}/`)
    expect([await email(page), (await groups(page)).toSorted()]).toEqual([
      'zoe@partner.example',
      ['Auditors', 'Everyone', 'Sales'],
    ])
    await page.goto(dev.people)
    expect(await page.locator('h1').innerText()).toBe('You are Zoe Example')
    await page.getByRole('button', { name: /Remove from Sales.*zoe@partner/ }).click()
    await page.waitForURL(`${dev.people}/`)
    await page.goto(`${dev.app}/`)
    await expect
      .poll(
        async () => {
          await page.reload()
          return (await groups(page)).toSorted()
        },
        { interval: 300 },
      )
      .toEqual(['Auditors', 'Everyone'])
  })

  test('whoever signs out is asked next time, and the answer is remembered', async () => {
    const page = await visit()
    await page.goto(`${dev.app}/.postern/sign_out`)
    await page.goto(`${dev.app}/`)
    await page.goto(`${dev.app}/.postern/sign_out`)
    await page.getByRole('button', { name: 'Sign out', exact: true }).click()
    await page.waitForURL(`${dev.authenticate}/.postern/signed_out*`)
    await page.goto(`${dev.app}/`)
    await page.getByRole('button', { name: 'Dave' }).click()
    await page.waitForURL(`${dev.app}/`)
    expect(await email(page)).toBe('dave@corp.example')
    await page.goto(dev.people)
    expect(await page.locator('h1').innerText()).toBe('You are Dave Dyer')
  })

  test('the page of people can be used by everybody, on a small screen, too', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await newVisitor(browser, { viewport: { width: 320, height: 700 }, colorScheme })
      await page.goto(dev.people)
      expect([colorScheme, await axeViolations(page), await widerThanTheScreen(page)]).toEqual([colorScheme, [], []])
    }
  })

  test('Ctrl-C ends it, and no file is left', async () => {
    const second = await startDev(echo.url, [], folder)
    expect(await second.stop('SIGINT')).toBe(0)
    expect(readdirSync(folder)).toEqual([])
    await expect(fetch(`http://127.0.0.1:${second.port}/`)).rejects.toThrow('fetch failed')
  })

  test('a port that is taken is named, and nothing stays behind', async () => {
    const taken = cli(['dev', '--to', echo.url, '--port', String(dev.port)])
    expect(await taken).toMatchObject({
      exitCode: 1,
      err: expect.stringMatching(`127.0.0.1:${dev.port}.*choose another one with --port`) as string,
    })
  })

  test.each([
    [['--to', 'not an address'], '--to: expected an address'],
    [['--to', '3000', '--as', 'alice'], '--as: expected an e-mail address'],
    [['--to', '3000', '--name', 'people'], '--name: expected a name'],
    [['--to', '3000', '--port', 'http'], '--port: expected a port'],
  ])('%j is a wrong use', async (args, message) => {
    expect(await cli(['dev', ...args])).toMatchObject({ exitCode: 2, err: expect.stringContaining(message) as string })
  })
})
