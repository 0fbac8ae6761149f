/** Verdaccio behind Postern: its page in the real browser, and npm. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chromiumPath, launchChromium, newVisitor } from '../../e2e/browser/chromium.ts'
import { freePort } from '../../e2e/browser/demo.ts'
import { type Behind, openAsAlice, startBehind } from './behind.ts'
import { installed } from './installed.ts'
import { type Ran, type Running, run, startServer } from './process.ts'

const verdaccio = installed('verdaccio', {
  from: 'npm',
  packages: ['verdaccio@6.3.1'],
  // verdaccio-audit asks for the tag cjs.
  overrides: { 'node-fetch': '2.7.0' },
})

describe.skipIf(!verdaccio.bin)(verdaccio.name('Verdaccio behind Postern'), () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-verdaccio-'))
  const at = (...names: string[]): string => join(folder, ...names)
  let server: Running
  let behind: Behind
  let browser: Browser | undefined
  beforeAll(async () => {
    writeFileSync(
      at('config.yaml'),
      `storage: ${at('storage')}
auth: { htpasswd: { file: ${at('htpasswd')} } }
packages: { '**': { access: $all, publish: $authenticated } }
log: { type: stdout, format: pretty, level: warn }
`,
    )
    const port = await freePort()
    const listen = ['--listen', `127.0.0.1:${port}`, '--config', at('config.yaml')]
    server = await startServer([`${verdaccio.bin}/verdaccio`, ...listen], port, { cwd: folder })
    // npm asks for /@scope%2Fname.
    behind = await startBehind(`http://127.0.0.1:${port}`, { path_with_escaped_slashes_action: 'keep' })
    const signedUp = await fetch(`${behind.publicUrl}/-/user/org.couchdb.user:alice`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'alice', password: 'opens nothing real' }),
    })
    const { token } = (await signedUp.json()) as { readonly token: string }
    const { host } = new URL(behind.publicUrl)
    writeFileSync(at('npmrc'), `registry=${behind.publicUrl}/\n//${host}/:_authToken=${token}\n`)
    mkdirSync(at('package'))
    writeFileSync(at('package', 'package.json'), '{ "name": "@corp/tool", "version": "1.2.3" }')
    writeFileSync(at('package', 'index.js'), 'export const answer = 42\n')
  })
  afterAll(async () => {
    await browser?.close()
    await behind?.close()
    await server?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const npm = (args: readonly string[], cwd: string): Promise<Ran> =>
    run(['npm', ...args], {
      cwd,
      env: { npm_config_userconfig: at('npmrc'), npm_config_cache: at('cache'), npm_config_update_notifier: 'false' },
    })

  test('npm publishes, shows and installs a package with a scope', async () => {
    expect(await npm(['publish'], at('package'))).toMatchObject({ code: 0 })
    expect((await npm(['view', '@corp/tool', 'version'], folder)).output.trim()).toBe('1.2.3')
    const tarball = (await npm(['view', '@corp/tool', 'dist.tarball'], folder)).output.trim()
    expect(new URL(tarball).origin).toBe(behind.publicUrl)
    mkdirSync(at('project'))
    const installing = await npm(['install', '--no-audit', '@corp/tool', '--prefix', at('project')], at('project'))
    expect(installing).toMatchObject({ code: 0 })
  })

  test('npm installs with a service token, of which Verdaccio learns nothing', async () => {
    const { host } = new URL(behind.programsUrl)
    const token = await behind.token()
    writeFileSync(at('npmrc-token'), `registry=${behind.programsUrl}/\n//${host}/:_authToken=${token}\n`)
    mkdirSync(at('by-token'))
    const view = (file: string) =>
      run(['npm', 'view', '@corp/tool', 'version'], {
        cwd: folder,
        env: { npm_config_userconfig: at(file), npm_config_cache: at('cache-token') },
      })
    expect((await view('npmrc-token')).output.trim()).toBe('1.2.3')
    writeFileSync(at('npmrc-none'), `registry=${behind.programsUrl}/\n`)
    expect((await view('npmrc-none')).output).toContain('E401')
    expect(server.output()).not.toContain(token)
  })

  test.skipIf(!chromiumPath)('its page lists the package for somebody who signed in', async () => {
    browser = await launchChromium()
    const { page } = await newVisitor(browser)
    await openAsAlice(page, `${behind.url}/`)
    await page.getByText('@corp/tool').first().waitFor()
    await page.getByText('@corp/tool').first().click()
    await page.getByText('1.2.3').first().waitFor()
  })
})
