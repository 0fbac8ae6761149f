/** WsgiDAV behind Postern: the methods of RFC 4918. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../e2e/browser/demo.ts'
import { type Answer, type Browser, createBrowser } from '../support/browser.ts'
import { ALICE, type Behind, startBehind } from './behind.ts'
import { installed } from './installed.ts'
import { type Running, startServer } from './process.ts'

const wsgidav = installed('wsgidav', { from: 'pypi', packages: ['WsgiDAV==4.3.5', 'cheroot==11.1.2'] })

describe.skipIf(!wsgidav.bin)(wsgidav.name('WsgiDAV behind Postern'), () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-webdav-'))
  let server: Running
  let behind: Behind
  let browser: Browser
  beforeAll(async () => {
    const port = await freePort()
    server = await startServer(
      [`${wsgidav.bin}/wsgidav`, '--host=127.0.0.1', `--port=${port}`, `--root=${folder}`, '--auth=anonymous'],
      port,
    )
    behind = await startBehind(`http://127.0.0.1:${port}`)
    browser = createBrowser()
    await behind.world.signIn(browser, `${behind.url}/`, ALICE)
  })
  afterAll(async () => {
    await behind?.close()
    await server?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const dav = (method: string, path: string, headers: Readonly<Record<string, string>> = {}, body?: string) =>
    browser.ask(`${behind.url}${path}`, { method, headers, ...(body !== undefined && { body }) })
  const status = async (answer: Promise<Answer>): Promise<number> => (await answer).status

  test('PUT, GET and a range', async () => {
    expect(await status(dav('PUT', '/notes.txt', {}, 'one two three'))).toBe(201)
    expect((await dav('GET', '/notes.txt')).body).toBe('one two three')
    const part = await dav('GET', '/notes.txt', { range: 'bytes=4-6' })
    expect([part.status, part.body]).toEqual([206, 'two'])
  })

  test('MKCOL, MOVE and COPY with a Destination at our address', async () => {
    expect(await status(dav('MKCOL', '/folder'))).toBe(201)
    expect(await status(dav('PUT', '/folder/a%20b.txt', {}, 'moved'))).toBe(201)
    const destination = (path: string) => ({ destination: `${behind.url}${path}`, overwrite: 'F' })
    expect(await status(dav('MOVE', '/folder/a%20b.txt', destination('/folder/c.txt')))).toBe(201)
    expect(await status(dav('COPY', '/folder/c.txt', destination('/folder/d.txt')))).toBe(201)
    expect(await status(dav('GET', '/folder/a%20b.txt'))).toBe(404)
    expect((await dav('GET', '/folder/d.txt')).body).toBe('moved')
    expect(await status(dav('DELETE', '/folder'))).toBe(204)
  })

  test('PROPFIND answers 207 with each member', async () => {
    await dav('MKCOL', '/listed')
    await dav('PUT', '/listed/member.txt', {}, 'x')
    const answer = await dav('PROPFIND', '/listed', { depth: '1' })
    expect(answer.status).toBe(207)
    expect(answer.body).toContain('/listed/member.txt')
  })

  test('LOCK keeps others from writing until UNLOCK', async () => {
    await dav('PUT', '/locked.txt', {}, 'x')
    const lock = await dav(
      'LOCK',
      '/locked.txt',
      { timeout: 'Second-60', 'content-type': 'application/xml' },
      '<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>',
    )
    expect(lock.status).toBe(200)
    const token = String(lock.headers['lock-token'])
    expect(await status(dav('PUT', '/locked.txt', {}, 'another'))).toBe(423)
    expect(await status(dav('PUT', '/locked.txt', { if: `(${token})` }, 'mine'))).toBe(204)
    expect(await status(dav('UNLOCK', '/locked.txt', { 'lock-token': token }))).toBe(204)
    expect(await status(dav('PUT', '/locked.txt', {}, 'another'))).toBe(204)
  })

  test('without a session each method is 401', async () => {
    const stranger = createBrowser()
    for (const method of ['PUT', 'GET', 'PROPFIND', 'MKCOL'])
      expect(await status(stranger.ask(`${behind.url}/secret`, { method, headers: {} }))).toBe(401)
  })
})
