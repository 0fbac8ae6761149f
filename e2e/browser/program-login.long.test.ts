/** `postern login` with the real browser: the page that asks, and the way of the answer to a port of this machine. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cli } from '../../test/support/cli.ts'
import { createTestWorld, type World } from '../../test/support/world.ts'
import { axeViolations, chromiumPath, inChromium, launchChromium, newVisitor } from './chromium.ts'

describe.skipIf(chromiumPath === undefined)(inChromium('postern login'), () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-login-'))
  const opened = join(folder, 'opened')
  let world: World
  let browser: Browser
  let env: Record<string, string>
  beforeAll(async () => {
    // Writes down the address, which is opened in Chromium here.
    const script = join(folder, 'browser')
    writeFileSync(script, `#!/bin/sh\nprintf %s "$1" > ${opened}.draft && mv ${opened}.draft ${opened}\n`)
    chmodSync(script, 0o755)
    env = { BROWSER: script, XDG_STATE_HOME: join(folder, 'state') }
    world = await createTestWorld({
      routes: [{ name: 'app', from: 'http://127.0.0.1', allow_any_authenticated_user: true }],
    })
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser.close()
    await world.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function openedPage(page: Page): Promise<void> {
    await expect.poll(() => readFileSync(opened, 'utf8'), { timeout: 60_000 }).toMatch(/^http/)
    await page.goto(readFileSync(opened, 'utf8'))
    rmSync(opened)
  }

  test('signs the person in on the way, asks them, and brings the code to the program', async () => {
    const { page, context, complaints } = await newVisitor(browser, {
      proxy: {
        server: `http://127.0.0.1:${world.port}`,
        bypass: `<-loopback>,127.0.0.1,${new URL(world.okta.url).host}`,
      },
    })
    const origin = `http://127.0.0.1:${world.port}`
    const ran = cli(['login', origin], { env })
    await openedPage(page)
    await page.getByRole('button', { name: 'alice' }).first().click()
    await page.waitForURL('**/api/v1/login/confirm?**')
    await expect.poll(() => page.getByRole('heading', { level: 1 }).textContent()).toBe('Sign in a program?')
    expect(await page.getByText('alice@example.com').count()).toBe(1)
    expect(await axeViolations(page)).toEqual([])
    await page.getByRole('button', { name: 'Yes, sign it in' }).click()
    await page.waitForURL('http://127.0.0.1:*/callback?**')
    expect(await page.textContent('body')).toContain('You can close this window')
    expect(await ran).toMatchObject({ exitCode: 0, err: expect.stringContaining('signed in to') })
    expect(await cli(['curl', `${origin}/x`, '-s', '-f', '-o', join(folder, 'answer')], { env })).toMatchObject({
      exitCode: 0,
    })
    expect(readFileSync(join(folder, 'answer'), 'utf8')).toContain('alice@example.com')

    // A second time nobody signs in, and the person says no.
    const again = cli(['login', origin], { env })
    await openedPage(page)
    await page.getByRole('button', { name: 'No', exact: true }).click()
    expect(await again).toMatchObject({ exitCode: 1 })
    expect(complaints).toEqual([])
    await context.close()
  })
})
